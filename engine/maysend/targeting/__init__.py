"""Campaigns compiled into data: one plan for any number of them (docs/architecture.md).

features     what conditions ask about a profile: columns, aggregates over events, statuses, draws
behaviour    one pass over each event table
standings    recorded answers folded into a word per profile
stages       a campaign as predicates, stage by stage (spec 5)
coding       features coded as small integers, and lookups from code to a bit per campaign
plan         the tables and the query
reads        waterfall, audience and reasons, read off the decisions
"""
