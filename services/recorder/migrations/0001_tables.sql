-- What is folded from the control streams. `env` is the environment; `stream_seq` the place in its stream CTL_<env>,
-- where a message is an entry of a process's log, and `index` the place of a record in the entry (0, 1, 2, ...).
-- Prices, quantities and money are numeric: exact, with the decimals of the message. Times are UTC nanoseconds.

CREATE TABLE fleet.event_log (
    env         text     NOT NULL,
    stream_seq  bigint   NOT NULL,
    index       integer  NOT NULL,
    rank        integer  NOT NULL,
    seq         bigint   NOT NULL,
    ts          bigint   NOT NULL,
    channel     text     NOT NULL,
    type        text     NOT NULL,
    payload     bytea    NOT NULL,
    prev_hash   bytea    NOT NULL CHECK (length(prev_hash) = 32),
    hash        bytea    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (env, stream_seq, index),
    UNIQUE (env, rank, seq)
);
COMMENT ON TABLE fleet.event_log IS 'Every record: hash = SHA-256(prev_hash || payload); the first prev_hash is zero';

CREATE TABLE fleet.fills (
    env                  text     NOT NULL,
    stream_seq           bigint   NOT NULL,
    index                integer  NOT NULL,
    rank                 integer  NOT NULL,
    seq                  bigint   NOT NULL,
    ts_event             bigint   NOT NULL,
    ts_init              bigint   NOT NULL,
    trader_id            text     NOT NULL,
    strategy_id          text     NOT NULL,
    instrument_id        text     NOT NULL,
    client_order_id      text     NOT NULL,
    venue_order_id       text     NOT NULL,
    account_id           text     NOT NULL,
    trade_id             text     NOT NULL,
    position_id          text,
    order_side           text     NOT NULL,
    order_type           text     NOT NULL,
    last_qty             numeric  NOT NULL,
    last_px              numeric  NOT NULL,
    currency             text     NOT NULL,
    commission           numeric  NOT NULL,
    commission_currency  text     NOT NULL,
    liquidity_side       text     NOT NULL,
    reconciliation       boolean  NOT NULL,
    PRIMARY KEY (env, stream_seq, index)
);
CREATE INDEX fills_of_order ON fleet.fills (env, client_order_id);
CREATE INDEX fills_of_position ON fleet.fills (env, position_id);

CREATE TABLE fleet.account_states (
    env            text     NOT NULL,
    stream_seq     bigint   NOT NULL,
    index          integer  NOT NULL,
    rank           integer  NOT NULL,
    seq            bigint   NOT NULL,
    ts_event       bigint   NOT NULL,
    account_id     text     NOT NULL,
    account_type   text     NOT NULL,
    base_currency  text,
    reported       boolean  NOT NULL,
    balances       jsonb    NOT NULL, -- {currency: {total, locked, free}}, as decimal texts
    margins        jsonb    NOT NULL, -- [{instrument_id, currency, initial, maintenance}]
    PRIMARY KEY (env, stream_seq, index)
);
CREATE INDEX account_states_of_account ON fleet.account_states (env, account_id, stream_seq, index);

CREATE VIEW fleet.account_balances AS
SELECT env, stream_seq, index, ts_event, account_id, b.key AS currency, (b.value ->> 'total')::numeric AS total,
       (b.value ->> 'locked')::numeric AS locked, (b.value ->> 'free')::numeric AS free
FROM fleet.account_states, jsonb_each(balances) AS b;

CREATE TABLE fleet.entries (
    env         text     NOT NULL,
    stream_seq  bigint   NOT NULL,
    roles       text     NOT NULL, -- joined by +: under them its log lies
    process     text     NOT NULL,
    epoch       text     NOT NULL, -- which start of the process
    number      bigint   NOT NULL, -- 1, 2, 3, over all its starts
    ts          bigint   NOT NULL, -- its clock, in the time of the run
    counts      jsonb    NOT NULL, -- {rank: seq} with this entry
    records     integer  NOT NULL, -- how many it holds
    inputs      bytea    NOT NULL, -- what was taken, in order, as MessagePack: the journal of the process
    PRIMARY KEY (env, stream_seq)
);
CREATE INDEX entries_of_process ON fleet.entries (env, process, stream_seq);

CREATE TABLE fleet.rejected (
    env         text     NOT NULL,
    stream_seq  bigint   NOT NULL,
    index       integer  NOT NULL, -- -1: the message as a whole
    subject     text     NOT NULL,
    kind        text     NOT NULL,
    reason      text     NOT NULL,
    rank        integer,
    seq         bigint,
    size        bigint   NOT NULL,
    payload     bytea    NOT NULL, -- the first 64 KiB
    PRIMARY KEY (env, stream_seq, index)
);

CREATE TABLE fleet.orders (
    env              text     NOT NULL,
    client_order_id  text     NOT NULL,
    strategy_id      text     NOT NULL,
    instrument_id    text     NOT NULL,
    status           text     NOT NULL,
    first_seq        bigint   NOT NULL,
    last_seq         bigint   NOT NULL,
    trader_id        text,
    account_id       text,
    venue_order_id   text,
    position_id      text,
    side             text,
    type             text,
    time_in_force    text,
    quantity         numeric,
    filled           numeric  NOT NULL,
    notional         numeric  NOT NULL, -- sum of price x quantity over its fills
    price            numeric,
    trigger_price    numeric,
    reason           text,
    is_open          boolean  NOT NULL,
    ts_init          bigint,
    ts_last          bigint   NOT NULL,
    PRIMARY KEY (env, client_order_id)
);
CREATE INDEX orders_open ON fleet.orders (env, strategy_id) WHERE is_open;

CREATE TABLE fleet.positions (
    env            text     NOT NULL,
    position_id    text     NOT NULL,
    strategy_id    text     NOT NULL,
    instrument_id  text     NOT NULL,
    account_id     text     NOT NULL,
    first_seq      bigint   NOT NULL,
    last_seq       bigint   NOT NULL,
    quantity       numeric  NOT NULL, -- signed: the sum of its fills
    fills          bigint   NOT NULL,
    said_quantity  numeric,           -- signed: what the portfolio says
    avg_px_open    numeric,
    realized_pnl   numeric,
    currency       text,
    ts_opened      bigint,
    ts_closed      bigint,
    ts_last        bigint   NOT NULL,
    PRIMARY KEY (env, position_id)
);

CREATE TABLE fleet.recorder_position (
    env         text         PRIMARY KEY,
    stream_seq  bigint       NOT NULL,
    created     text         NOT NULL, -- when the stream was made
    head        bytea        NOT NULL, -- hash of the last record
    records     bigint       NOT NULL,
    entries     bigint       NOT NULL,
    rejected    bigint       NOT NULL,
    ranks       jsonb        NOT NULL, -- {rank: its last count}
    roles       jsonb        NOT NULL, -- {rank: the roles that it can have}
    unread      jsonb        NOT NULL, -- {rank: counts of unreadable records beyond it}
    updated_at  timestamptz  NOT NULL DEFAULT now()
);
