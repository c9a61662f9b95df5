//! The command line behind `make`: demo, up, down, and the pinned tools. Must stay a thin shell
//! around the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pai_harness::image::Image;
use pai_harness::local::{self, Wishes};
use pai_harness::toolchain::{LINT, STACK, Tool, path};
use pai_harness::{ControlPlane, Error, demo};

/// Local stack of real parts.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The main job from installation to deletion, on real parts.
    Demo,
    /// Starts what is not running of the stack in the background.
    Up,
    /// Ends the stack in the background.
    Down,
    /// Runs a bare control plane in the foreground until it is interrupted.
    ControlPlane,
    /// Builds the pinned tools that are missing.
    Tools {
        /// Those of `make lint` instead of those of the stack.
        #[arg(long)]
        lint: bool,
    },
    /// Prints the path of one pinned tool, built if it is missing.
    Tool {
        /// Its usual name, such as `helm`.
        name: String,
    },
    /// Writes the container image as an OCI layout.
    Image {
        /// The static program.
        #[arg(long)]
        program: std::path::PathBuf,
        /// Where to: a folder that is replaced.
        #[arg(long)]
        to: std::path::PathBuf,
        /// The architecture, `amd64` or `arm64`.
        #[arg(long, default_value = "amd64")]
        architecture: String,
        /// The commit.
        #[arg(long, default_value = "unknown")]
        revision: String,
    },
    /// Prints the cache folder.
    Cache,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pai-harness: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Demo => demo::run(),
        Command::Up => local::up(Wishes::from_env()).map(drop),
        Command::Down => local::down(),
        Command::ControlPlane => control_plane(),
        Command::Tools { lint } => {
            let tools = if lint { &LINT[..] } else { &STACK[..] };
            tools.iter().try_for_each(|&tool| path(tool).map(drop))
        }
        Command::Tool { name } => {
            let tool = Tool::named(&name).ok_or_else(|| Error::Other(format!("there is no pinned tool {name}")))?;
            println!("{}", path(tool)?.display());
            Ok(())
        }
        Command::Image { program, to, architecture, revision } => Image { program, architecture, revision }.write(&to),
        Command::Cache => {
            println!("{}", pai_harness::toolchain::cache()?.display());
            Ok(())
        }
    }
}

fn control_plane() -> Result<(), Error> {
    let plane = ControlPlane::start()?;
    let [etcd, apiserver, controllers] = plane.pids();
    println!("pids {etcd} {apiserver} {controllers}");
    println!("export KUBECONFIG={}", plane.kubeconfig().display());
    // The guard ends the servers when this process is interrupted or killed.
    loop {
        std::thread::park();
    }
}
