//! The native vocabulary by its literal bytes, both ways: what each frame means, and how each answer and event is spelt.
//!
//! What lives here: frames as clients write and read them (CONTRACT section 5). What must not: what a server does with them.

mod decode;
mod encode;
