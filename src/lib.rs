//! Haggle.
#![allow(missing_docs)]
pub mod error;
pub mod protocol;
pub mod store;
