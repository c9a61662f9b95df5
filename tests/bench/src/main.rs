//! The program behind `make bench`: runs what is asked for, keeps the report, prints the table and draws the page.

use std::process::ExitCode;

use pai_bench::report::Report;
use pai_bench::settings::Settings;
use pai_bench::{Error, bars, document, machine, scenarios};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pai-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Error> {
    let settings = Settings::from(|name| std::env::var(name).ok())?;
    let folder = scenarios::target().join("bench");
    let mut report = Report::open(&folder)?;
    report.set("machine", machine::machine());
    report.set("versions", machine::versions()?);
    scenarios::run(&settings, &mut |outcome| {
        eprintln!("pai-bench: {}: {}", outcome.scenario.name(), outcome.figures);
        report.keep(outcome)
    })?;
    println!("{}", bars::table(&bars::rows(&report)));
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let page = document::write(&report, "docs".as_ref(), &folder, &date)?;
    println!("the report is {}, the page {}", folder.join("report.json").display(), page.display());
    Ok(())
}
