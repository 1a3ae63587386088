//! Numbers of nf_tables, from `linux/netfilter/nf_tables.h`, `linux/netfilter/nfnetlink.h` and `linux/netfilter.h`.

pub const BATCH_BEGIN: u16 = 16;
pub const BATCH_END: u16 = 17;
pub const SUBSYSTEM: u16 = 10;
pub const NEW_TABLE: u16 = SUBSYSTEM << 8;
pub const GET_TABLE: u16 = SUBSYSTEM << 8 | 1;
pub const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
pub const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
pub const GET_CHAIN: u16 = SUBSYSTEM << 8 | 4;
pub const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;
pub const GET_RULE: u16 = SUBSYSTEM << 8 | 7;

pub const FAMILY_ANY: u8 = 0;
pub const FAMILY_INET: u8 = 1;
pub const FAMILY_IPV4: u8 = 2;
pub const FIXED_BYTES: usize = 4;

pub const TABLE_NAME: u16 = 1;
pub const TABLE_USER_DATA: u16 = 6;
pub const USER_DATA_COMMENT: u8 = 0;

pub const CHAIN_TABLE: u16 = 1;
pub const CHAIN_NAME: u16 = 3;
pub const CHAIN_HOOK: u16 = 4;
pub const CHAIN_POLICY: u16 = 5;
pub const CHAIN_TYPE: u16 = 7;
pub const HOOK_NUMBER: u16 = 1;
pub const HOOK_PRIORITY: u16 = 2;

pub const RULE_TABLE: u16 = 1;
pub const RULE_CHAIN: u16 = 2;
pub const RULE_EXPRESSIONS: u16 = 4;
pub const LIST_ELEMENT: u16 = 1;
pub const EXPRESSION_NAME: u16 = 1;
pub const EXPRESSION_DATA: u16 = 2;

/// The register that a verdict goes to.
pub const REGISTER_VERDICT: u32 = 0;
/// The register of 16 bytes that everything here is compared in.
pub const REGISTER_1: u32 = 1;

pub const DATA_VALUE: u16 = 1;
pub const DATA_VERDICT: u16 = 2;
pub const VERDICT_CODE: u16 = 1;
pub const VERDICT_CHAIN: u16 = 2;

pub const VERDICT_DROP: i32 = 0;
pub const VERDICT_ACCEPT: i32 = 1;
pub const VERDICT_JUMP: i32 = -3;
pub const VERDICT_GOTO: i32 = -4;

pub const PROTOCOL_TCP: u8 = 6;
