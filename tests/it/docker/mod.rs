//! Containers on a real Docker engine.

<<<<<<< HEAD
mod adopt;
=======
mod connect;
mod faults;
mod images;
>>>>>>> main
mod inside;
mod lifecycle;
mod roundtrip;
mod smoke;
mod verbs;
