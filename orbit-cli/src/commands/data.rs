//! `orbit data`: recommendation data from the forms in which it is published.

use std::path::Path;

use anyhow::Result;
use orbit_data::OnBadRow;
use orbit_data::prepare::{self, Columns, Options, Repeats, Source};

use super::print;
use crate::args::{Data, DataPrepare, Global};
use crate::progress::Progress;

pub(crate) fn run(command: &Data, global: &Global) -> Result<()> {
    match command {
        Data::Prepare(args) => prepare(args, global),
        Data::Check { dir, json } => check(dir, *json),
    }
}

fn prepare(args: &DataPrepare, global: &Global) -> Result<()> {
    let DataPrepare { user, item, time, rating, title, .. } = args;
    let [user, item, time, rating, title] = [user, item, time, rating, title].map(Clone::clone);
    let source = Source {
        kind: args.kind,
        path: args.path.clone(),
        items: args.items.clone(),
        columns: Columns { user, item, time, rating, title },
    };
    let options = Options {
        on_bad: if args.skip_bad { OnBadRow::Skip } else { OnBadRow::Fail },
        min_rating: args.min_rating,
        moment: args.moment,
        repeats: if args.first { Repeats::First } else { Repeats::Keep },
        core: args.core,
        ties: (!args.keep_ties).then_some(args.seed),
    };
    let mut progress = Progress::new("prepare (bytes)", 0, source.bytes()?, global.quiet);
    let prepared = source.prepare(&options, &args.out, &mut |bytes| progress.set(bytes, &[]))?;
    progress.finish();
    print(&format!("{prepared}\n{}\n", args.out.display()))
}

fn check(dir: &Path, json: bool) -> Result<()> {
    let report = prepare::check(dir)?;
    print(&if json { serde_json::to_string_pretty(&report)? + "\n" } else { format!("{report}\n") })
}
