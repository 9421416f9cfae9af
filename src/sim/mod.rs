//! The simulated vLLM server.
