//! The binary: hands over to the command line. Nothing else lives here.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    haggle::cli::run(std::env::args_os())
}
