//! Facts about the outside world, as data compiled into tables. Pure.
