-- A good phone number, here within a year, no reader of French, not staff; asked for offers by text.
WITH checked AS (
    SELECT customer_id, phone_address AS address, CASE
        WHEN NOT coalesce(NOT staff
            AND phone_address IS NOT NULL
            AND last_visit BETWEEN TIMESTAMP '1997-07-01' AND TIMESTAMP '1998-07-01'
            AND NOT coalesce(language = 'fr', country = 'FR', false), false) THEN 'not_in_audience'
        WHEN phone_address IS NULL THEN 'no_address'
        WHEN sms_suppressed THEN 'suppressed'
        WHEN NOT takes_texts AND NOT text_offers THEN 'channel_unsubscribed'
        WHEN NOT text_offers THEN 'group_unsubscribed'
        ELSE 'included' END AS reason
    FROM people
), one_each AS (
    SELECT customer_id, CASE
        WHEN reason = 'included' AND row_number() OVER (PARTITION BY address, reason ORDER BY customer_id) > 1
        THEN 'duplicate_address' ELSE reason END AS reason
    FROM checked
)
SELECT customer_id, CASE
    WHEN reason <> 'included' THEN reason
    WHEN drawn(customer_id, 's1') < 0.05 THEN 'control_group'
    ELSE 'included' END AS reason
FROM one_each JOIN people USING (customer_id);
