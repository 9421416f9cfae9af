//! One file per command.

pub(super) mod check;
pub(super) mod client;
pub(super) mod config;
pub(super) mod doctor;
pub(super) mod down;
pub(super) mod drain;
pub(super) mod egress_proxy;
pub(super) mod eval;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod fetch;
pub(super) mod init;
pub(super) mod known_host;
pub(super) mod logs;
pub(super) mod plan;
pub(super) mod probe;
pub(super) mod rehearse;
pub(super) mod render;
pub(super) mod report;
pub(super) mod runs;
pub(super) mod serve;
pub(super) mod sim_capture;
pub(super) mod sim_fault;
pub(super) mod sim_fit;
pub(super) mod status;
pub(super) mod up;
