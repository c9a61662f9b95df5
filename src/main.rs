//! The program: parse, install the TLS provider, dispatch, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use pai_operator::cli::{Cli, Command};
use pai_operator::{api, run};

/// musl's own gives memory back to the system after each reply of the cloud and asks for it anew: a third of a sweep. See
/// `docs/dependencies.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => return run_operator(*options),
        Command::Crd => api::crd::yaml().map_err(|error| error.to_string()),
        Command::Version => Ok(format!("pai-operator {}\n", env!("CARGO_PKG_VERSION"))),
    };
    match result.and_then(|text| std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run_operator(options: pai_operator::cli::RunOptions) -> ExitCode {
    // reqwest and kube both use rustls, which panics without a provider.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return fail("the TLS provider was installed twice");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot be started: {error}")),
    };
    match runtime.block_on(run::run(options)) {
        Ok(code) => code,
        Err(error) => fail(&error.to_string()),
    }
}

/// The first error a person sees stands on stderr in plain words, not in a log line.
fn fail(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "pai-operator: {error}");
    ExitCode::FAILURE
}
