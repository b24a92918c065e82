//! Units on hosts: what is put in place, brought back, taken away and seen.

mod bench;
mod faults;
mod life;
mod programs;
mod seen;
mod values;
