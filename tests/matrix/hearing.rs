//! While those who are in conversations do all that can be done, nobody outside hears any of it.
