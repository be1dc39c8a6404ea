-- Three purchases or more, none since 2 April (ninety days), not staff; subscribed to new releases and to offers. A tenth
-- of all people is left out to compare with.
WITH checked AS (
    SELECT customer_id, email_address AS address, CASE
        WHEN NOT coalesce(NOT staff
            AND (SELECT count(*) FROM purchases AS p WHERE p.customer_id = people.customer_id) >= 3
            AND NOT EXISTS (
                FROM purchases AS p
                WHERE p.customer_id = people.customer_id AND purchased_on BETWEEN DATE '1998-04-02' AND DATE '1998-07-01'
            ), false) THEN 'not_in_audience'
        WHEN email_address IS NULL THEN 'no_address'
        WHEN email_suppressed THEN 'suppressed'
        WHEN NOT takes_email AND NOT (new_releases AND offers) THEN 'channel_unsubscribed'
        WHEN NOT (new_releases AND offers) THEN 'group_unsubscribed'
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
    WHEN emails_this_week >= 3 THEN 'frequency_capped'
    WHEN drawn(customer_id, 's1') < 0.05 OR drawn(customer_id, 'winter') < 0.1 THEN 'control_group'
    ELSE 'included' END AS reason
FROM one_each JOIN people USING (customer_id);
