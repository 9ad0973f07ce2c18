//! gRPC between services: server, client channels with deadline and retry, errors, trace propagation.
