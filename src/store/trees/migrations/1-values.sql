-- Values as the store seals them, under names that are keyed hashes. Several stores may share a database: each sees its own.
CREATE TABLE calmline_values (
    store bytea NOT NULL,
    tree text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (store, tree, key)
);
