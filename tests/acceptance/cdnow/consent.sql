-- Who has which address, and whose answer holds: written from the rules in docs/concepts.md, not from the program.
-- Makes the table people: a profile's columns, email_address and phone_address (normalized, NULL where invalid),
-- suppressed, whether the person is subscribed (takes_email, takes_texts, and one column a group), and how many
-- e-mails they were sent in the seven days before 1 July 1998.

CREATE MACRO email_of(text) AS
    CASE WHEN regexp_full_match(lower(trim(text)), '[^@ ]+@[^@ ]+') THEN lower(trim(text)) END;
CREATE MACRO digits_of(text) AS regexp_replace(regexp_replace(text, '[ ().-]', '', 'g'), '^00', '+');
CREATE MACRO phone_of(text) AS
    CASE WHEN regexp_full_match(digits_of(text), '[+][1-9][0-9]{6,14}') THEN digits_of(text) END;

-- A number from 0 to 2^31 - 2 for a person and a salt, and the same as a share of all draws.
CREATE MACRO number_of(hex) AS CAST('0x' || hex AS UBIGINT);
CREATE MACRO draw(person, salt) AS (
    (number_of(left(md5(CAST(person AS VARCHAR)), 8)) % 2147483647)::HUGEINT
        * (number_of(left(sha256(salt), 16)) % 2147483646 + 1)
    + number_of(sha256(salt)[17:32]) % 2147483647
) % 2147483647;
CREATE MACRO drawn(person, salt) AS draw(person, salt) / 2147483647;

CREATE TABLE profiles AS
SELECT *, email_of(email) AS email_address, phone_of(phone) AS phone_address
FROM read_parquet('data/profiles.parquet');

CREATE TABLE answers AS
SELECT
    channel,
    coalesce("group", '') AS topic,
    CASE channel WHEN 'email' THEN email_of(address) ELSE phone_of(address) END AS address,
    CAST(profile AS INTEGER) AS customer_id,
    status = 'subscribed' AS yes,
    CAST(rtrim(occurred_at, 'Z') AS TIMESTAMP) AS moment,
    type
FROM read_csv('data/answers.csv', header = true, all_varchar = true, nullstr = '');

-- The last answer of each address and of each profile, for each topic; on a tie a no wins.
CREATE TABLE of_address AS
SELECT channel, topic, address, yes, moment FROM answers WHERE address IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY channel, topic, address ORDER BY moment DESC, yes) = 1;

CREATE TABLE of_profile AS
SELECT channel, topic, customer_id, yes, moment FROM answers WHERE customer_id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY channel, topic, customer_id ORDER BY moment DESC, yes) = 1;

CREATE TABLE topics (channel VARCHAR, topic VARCHAR, name VARCHAR, by_default BOOLEAN);
INSERT INTO topics VALUES
    ('email', '', 'takes_email', true),
    ('email', 'new_releases', 'new_releases', true),
    ('email', 'offers', 'offers', true),
    ('email', 'recommendations', 'recommendations', true),
    ('email', 'surveys', 'surveys', true),
    ('email', 'concerts', 'concerts', false),
    ('email', 'club', 'club', false),
    ('sms', '', 'takes_texts', true),
    ('sms', 'text_offers', 'text_offers', false);

-- While the last answer for the whole channel is no, every topic is no, unless its own yes is later.
CREATE TABLE standing AS
WITH asked AS (
    SELECT
        customer_id, channel, topic, name, by_default,
        CASE channel WHEN 'email' THEN email_address ELSE phone_address END AS address
    FROM profiles CROSS JOIN topics
)
SELECT
    asked.customer_id, asked.name, asked.by_default,
    CASE WHEN asked.topic <> '' AND NOT a_all.yes THEN coalesce(a_own.yes AND a_own.moment > a_all.moment, false)
         ELSE a_own.yes END AS address_says,
    CASE WHEN asked.topic <> '' AND NOT p_all.yes THEN coalesce(p_own.yes AND p_own.moment > p_all.moment, false)
         ELSE p_own.yes END AS profile_says
FROM asked
LEFT JOIN of_address AS a_own
    ON a_own.channel = asked.channel AND a_own.topic = asked.topic AND a_own.address = asked.address
LEFT JOIN of_address AS a_all
    ON a_all.channel = asked.channel AND a_all.topic = '' AND a_all.address = asked.address
LEFT JOIN of_profile AS p_own
    ON p_own.channel = asked.channel AND p_own.topic = asked.topic AND p_own.customer_id = asked.customer_id
LEFT JOIN of_profile AS p_all
    ON p_all.channel = asked.channel AND p_all.topic = '' AND p_all.customer_id = asked.customer_id;

-- Either's no is a no; else either's yes is a yes; else the default.
CREATE TABLE subscribed AS
PIVOT (
    SELECT
        customer_id, name,
        CASE WHEN address_says IS FALSE OR profile_says IS FALSE THEN false
             ELSE coalesce(address_says, profile_says, by_default) END AS yes
    FROM standing
) ON name USING bool_and(yes) GROUP BY customer_id;

-- An address that bounced, was dropped or complained, and has not said yes to anything since.
CREATE TABLE suppressed AS
SELECT channel, address FROM answers WHERE address IS NOT NULL
GROUP BY channel, address
HAVING count(type) > 0 AND (max(moment) FILTER (yes) IS NULL OR max(moment) FILTER (yes) <= max(moment) FILTER (type IS NOT NULL));

CREATE TABLE sent AS
SELECT customer_id, count(*) AS messages FROM read_parquet('data/sends.parquet')
WHERE channel = 'email' AND sent_at BETWEEN TIMESTAMP '1998-06-24' AND TIMESTAMP '1998-07-01'
GROUP BY customer_id;

CREATE TABLE people AS
SELECT
    profiles.*,
    email_address IN (SELECT address FROM suppressed WHERE channel = 'email') AS email_suppressed,
    phone_address IN (SELECT address FROM suppressed WHERE channel = 'sms') AS sms_suppressed,
    coalesce(sent.messages, 0) AS emails_this_week,
    subscribed.* EXCLUDE (customer_id)
FROM profiles JOIN subscribed USING (customer_id) LEFT JOIN sent USING (customer_id);

CREATE VIEW purchases AS SELECT * FROM read_parquet('data/purchases.parquet');
