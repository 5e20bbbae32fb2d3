//! `orbit plugin list`: what can be used by its name. Manifests are read, libraries are not run.

use std::fmt::Write as _;

use anyhow::Result;
use orbit_regularizers::plugin::{Listed, Located, Search, Tried, platform};
use serde_json::{Value, json};

use crate::args::PluginList;
use crate::commands::print;

pub(crate) fn run(args: &PluginList) -> Result<()> {
    let search = Search::standard("");
    let (listed, tried) = search.list();
    match args.json {
        true => print(&(serde_json::to_string_pretty(&as_json(&listed, &tried))? + "\n")),
        false => print(&as_text(&search, &listed, &tried, args.why)),
    }
}

fn as_text(search: &Search, listed: &[Listed], tried: &[Tried], why: bool) -> String {
    let usable: Vec<&Located> = listed.iter().filter_map(|listed| listed.plugin.as_ref().ok()).collect();
    let mut text = match usable.is_empty() {
        true => none(search),
        false => table(&usable),
    };
    for Listed { path, plugin } in listed {
        if let Err(error) = plugin {
            let _ = writeln!(text, "refused  {}\n  {}", path.display(), error.to_string().replace('\n', "\n  "));
        }
    }
    if why {
        text.push_str("\nlooked at\n");
        for folder in &search.folders {
            let _ = writeln!(text, "  {}", folder.display());
        }
        for Tried { path, reason } in tried {
            let _ = writeln!(text, "  {}: {reason}", path.display());
        }
    }
    text
}

fn none(search: &Search) -> String {
    let folders: Vec<String> = search.folders.iter().map(|folder| folder.display().to_string()).collect();
    format!(
        "there are no plugins in {}\nadd the folder that yours is in to ORBIT_PLUGIN_PATH, or write one by \
         `orbit plugin new NAME`\n",
        folders.join(", ")
    )
}

/// One line a plugin, in columns as wide as what is in them.
fn table(plugins: &[&Located]) -> String {
    let mut rows = vec![["id", "version", "licence", "library", "sha256", "folder"].map(str::to_owned)];
    rows.extend(plugins.iter().filter_map(|located| {
        let manifest = located.manifest.as_ref()?;
        Some([
            manifest.id.clone(),
            manifest.version.clone(),
            manifest.licence.clone(),
            platform(),
            located.sha256.chars().take(12).collect(),
            located.place.display().to_string(),
        ])
    }));
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let last = column + 1 == row.len();
            let _ = if last { writeln!(text, "{cell}") } else { write!(text, "{cell:<width$}  ") };
        }
    }
    text
}

fn as_json(listed: &[Listed], tried: &[Tried]) -> Value {
    let usable = listed.iter().filter_map(|listed| listed.plugin.as_ref().ok()).map(|located| {
        json!({
            "manifest": located.manifest,
            "folder": located.place,
            "platform": platform(),
            "library": located.library,
            "sha256": located.sha256,
        })
    });
    let refused = listed.iter().filter_map(|Listed { path, plugin }| {
        let reason = plugin.as_ref().err()?.to_string();
        Some(json!({ "folder": path, "reason": reason }))
    });
    let tried = tried.iter().map(|Tried { path, reason }| json!({ "path": path, "reason": reason }));
    json!({
        "plugins": usable.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "tried": tried.collect::<Vec<_>>(),
    })
}
