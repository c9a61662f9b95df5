//! `docs/flags.md`, from the command line's own definition.

use std::fmt::Write as _;

use clap::CommandFactory;
use pai_operator::cli::Cli;

use crate::{cell, is_up_to_date};

const HEAD: &str = "\
# Flags of `pai-operator run`

Each is also an environment variable; a flag wins over its variable, and of a flag that is given twice the last one counts. The chart sets them from
[its values](values.md); `extraArgs` come last. `KUBECONFIG` and the in-cluster configuration are found the usual way.

| flag | variable | default | says |
|---|---|---|---|
";

#[test]
fn the_page_lists_every_flag() {
    let mut page = HEAD.to_owned();
    let command = Cli::command();
    let run = command.get_subcommands().find(|command| command.get_name() == "run").unwrap();
    for option in run.get_arguments().filter(|option| option.get_id() != "help") {
        let variable = option.get_env().and_then(|name| name.to_str()).unwrap();
        let default =
            option.get_default_values().iter().filter_map(|value| value.to_str()).collect::<Vec<_>>().join(",");
        let default = if default.is_empty() || default == "false" { String::new() } else { format!("`{default}`") };
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(page, "| `--{}` | `{variable}` | {} | {} |", option.get_long().unwrap(), cell(&default), cell(&help))
            .unwrap();
    }
    is_up_to_date("docs/flags.md", &page);
}
