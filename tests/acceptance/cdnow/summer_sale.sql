-- North Americans and the best customers, not staff; subscribed to offers, new releases or the club. 15,000 at most.
WITH checked AS (
    SELECT customer_id, email_address AS address, CASE
        WHEN NOT coalesce(NOT staff AND (
            coalesce(country IN ('US', 'CA'), false)
            OR spent >= 400
            OR (purchases >= 10 AND last_purchase BETWEEN DATE '1998-01-01' AND DATE '1998-07-01')
        ), false) THEN 'not_in_audience'
        WHEN email_address IS NULL THEN 'no_address'
        WHEN email_suppressed THEN 'suppressed'
        WHEN NOT takes_email AND NOT (offers OR new_releases OR club) THEN 'channel_unsubscribed'
        WHEN NOT (offers OR new_releases OR club) THEN 'group_unsubscribed'
        ELSE 'included' END AS reason
    FROM people
), one_each AS (
    SELECT customer_id, CASE
        WHEN reason = 'included' AND row_number() OVER (PARTITION BY address, reason ORDER BY customer_id) > 1
        THEN 'duplicate_address' ELSE reason END AS reason
    FROM checked
), held AS (
    SELECT customer_id, CASE
        WHEN reason <> 'included' THEN reason
        WHEN emails_this_week >= 3 THEN 'frequency_capped'
        WHEN drawn(customer_id, 's1') < 0.05 THEN 'control_group'
        ELSE 'included' END AS reason
    FROM one_each JOIN people USING (customer_id)
)
SELECT customer_id, CASE
    WHEN reason = 'included'
        AND row_number() OVER (PARTITION BY reason ORDER BY draw(customer_id, 'summer'), customer_id) > 15000
    THEN 'over_target_cap' ELSE reason END AS reason
FROM held;
