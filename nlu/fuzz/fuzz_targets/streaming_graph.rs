//! Any bytes as the graph of a streaming model, its metadata included.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../checks/streaming_graph.rs"]
mod streaming_graph;

fuzz_target!(|bytes: &[u8]| streaming_graph::check(bytes));
