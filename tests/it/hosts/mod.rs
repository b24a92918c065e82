//! Services on other machines.

mod smoke;
