//! Nobody speaks as somebody else.
