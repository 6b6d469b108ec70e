//! Compiles the .proto files with protox (no protoc) into messages, clients, servers and descriptors.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const PROTOS: [&str; 5] = [
    "coroner/v1/cause.proto",
    "coroner/v1/diagnosis.proto",
    "coroner/v1/node_report.proto",
    "coroner/v1/ingest_service.proto",
    "coroner/v1/diagnosis_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=coroner");
    let descriptors = protox::compile(PROTOS, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    let mut messages = prost_build::Config::new();
    messages.enable_type_names();
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .compile_fds_with_config(descriptors, messages)?;
    Ok(())
}
