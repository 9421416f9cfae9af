//! The only place that touches the outside: transports, launchers, HTTP, facts, clock, signals.
