//! Units of systemd, on this machine and on hosts.

pub mod units;
