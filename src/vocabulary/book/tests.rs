//! The book vocabulary by its literal bytes.
