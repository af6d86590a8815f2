-- What one of several servers does at a time: whose it is, and until when by the database's own clock.
CREATE TABLE calmline_leases (
    site bytea NOT NULL,
    name text NOT NULL,
    holder text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (site, name)
);
