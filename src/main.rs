//! Empty.
fn main(){}
