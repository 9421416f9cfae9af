//! Plan to file set through Tera, with shell quoting on by default. Pure.
