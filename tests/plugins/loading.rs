//! Finding and loading: what is refused, and what the refusal says.

use std::fs;
use std::path::Path;

use orbit_regularizers::plugin::{Error, Library, Located, Manifest, Search, platform};

use super::{compile, library};

/// A folder of plugins with one in it: `good`, which is the ball.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let file = library("l2-ball");
        folder.put("good", &manifest("l2-ball", file.to_str().unwrap(), None));
        folder
    }

    fn put(&self, name: &str, manifest: &str) {
        let place = self.0.path().join(name);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("plugin.toml"), manifest).unwrap();
    }

    fn search(&self) -> Search {
        Search { beside: self.0.path().join("elsewhere"), folders: vec![self.0.path().into()] }
    }

    fn refusal(&self, name: &str) -> String {
        match self.search().find(name) {
            Err(error) => error.to_string(),
            Ok(located) => Library::open(located).unwrap_err().to_string(),
        }
    }
}

fn manifest(id: &str, file: &str, sha256: Option<&str>) -> String {
    let sha256 = sha256.map(|digest| format!("sha256 = {digest:?}")).unwrap_or_default();
    format!(
        "id = {id:?}\nversion = \"0.1.0\"\nabi = 1\nlicence = \"MIT\"\n\n[library.{}]\nfile = {file:?}\n{sha256}\n",
        platform()
    )
}

fn find(path: &Path) -> Result<Located, Error> {
    Search::default().find(path.to_str().unwrap())
}

#[test]
fn a_plugin_is_found_by_id_by_folder_by_manifest_and_by_library() {
    let folder = Folder::new();
    let by_id = folder.search().find("good").unwrap();
    assert_eq!(by_id.library, library("l2-ball"));
    let place = folder.0.path().join("good");
    assert_eq!(find(&place).unwrap(), by_id);
    assert_eq!(find(&place.join("plugin.toml")).unwrap(), by_id);
    let alone = find(&library("l2-ball")).unwrap();
    assert_eq!((alone.sha256, alone.manifest), (by_id.sha256.clone(), None));
    let opened = Library::open(by_id).unwrap();
    assert_eq!((opened.id(), opened.release()), ("l2-ball", env!("CARGO_PKG_VERSION")));
    assert!(opened.schema().unwrap()["properties"]["radius"].is_object());
}

#[test]
fn what_is_nowhere_is_refused_with_every_place_that_was_tried() {
    let folder = Folder::new();
    fs::create_dir_all(folder.0.path().join("empty")).unwrap();
    let message = folder.refusal("nothing");
    for part in ["there is no plugin \"nothing\"", "elsewhere", "there is nothing", "ORBIT_PLUGIN_PATH"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(folder.refusal("empty").contains("a folder without a plugin.toml"));
    let (listed, tried) = folder.search().list();
    assert_eq!(listed.len(), 1);
    assert!(tried.iter().any(|tried| tried.path.ends_with("empty")));
}

#[test]
fn a_digest_that_is_not_the_librarys_is_refused_before_its_code_runs() {
    let folder = Folder::new();
    let file = library("l2-ball");
    let right = find(&file).unwrap().sha256;
    folder.put("right", &manifest("l2-ball", file.to_str().unwrap(), Some(&right.to_uppercase())));
    folder.search().find("right").unwrap();
    folder.put("wrong", &manifest("l2-ball", file.to_str().unwrap(), Some(&"0".repeat(64))));
    let message = folder.refusal("wrong");
    assert!(message.contains(&right) && message.contains("write the new digest into plugin.toml"), "{message}");
}

#[test]
fn a_manifest_that_is_not_right_says_where() {
    let folder = Folder::new();
    for (text, part) in [
        ("id = 7", "invalid type: integer `7`, expected a string"),
        ("id = \"../x\"\nversion = \"1\"\nabi = 1\nlicence = \"MIT\"\nlibrary = {}", "must be letters, digits"),
        ("id = \"x\"\nversion = \"1\"\nabi = 1\nlicence = \"MIT\"\nlibary = {}", "unknown field `libary`"),
        (&manifest("x", "x.so", Some("abc")), "must be 64 hexadecimal digits"),
        (
            "id = \"x\"\nversion = \"1\"\nabi = 1\nlicence = \"MIT\"\nlibrary.plan9-mips.file = \"x\"",
            "only for plan9-mips",
        ),
        (&manifest("x", "missing.so", None), "missing.so"),
    ] {
        folder.put("bad", text);
        let message = folder.refusal("bad");
        assert!(message.contains(part), "{part}: {message}");
    }
    let file = library("l2-ball");
    folder.put("other", &manifest("other", file.to_str().unwrap(), None));
    let message = folder.refusal("other");
    assert!(message.contains("it is plugin l2-ball 0.1.0 for interface 1, its manifest says other 0.1.0"), "{message}");
}

/// `orbit plugin list` looks at every manifest that lies in its folders.
#[cfg(unix)]
#[test]
fn a_manifest_that_names_a_device_is_refused_and_the_device_not_read() {
    let folder = Folder::new();
    folder.put("endless", &manifest("endless", "/dev/zero", None));
    assert!(folder.refusal("endless").contains("/dev/zero"));
    assert_eq!(folder.search().list().0.iter().filter(|listed| listed.plugin.is_ok()).count(), 1);
}

#[test]
fn a_file_that_is_no_plugin_is_refused_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("text.so"), "not a library").unwrap();
    assert!(find(&at("text.so")).unwrap_err().to_string().contains("it is not a dynamic library"));

    fs::write(at("empty.c"), "int nothing(void) { return 0; }\n").unwrap();
    compile(&at("empty.c"), &at("empty.so"));
    let message = find(&at("empty.so")).unwrap_err().to_string();
    assert!(message.contains("does not export `orbit_hook_entry`") && message.contains("cdylib"), "{message}");

    if cfg!(target_os = "linux") {
        let mut bytes = fs::read(library("l2-ball")).unwrap();
        // e_machine: another architecture than this one.
        let other: u16 = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        bytes[18..20].copy_from_slice(&other.to_le_bytes());
        fs::write(at("other.so"), bytes).unwrap();
        let message = find(&at("other.so")).unwrap_err().to_string();
        assert!(message.contains(&format!("this program runs on {}", std::env::consts::ARCH)), "{message}");
    }
}

/// A plugin in C whose table begins with these two numbers.
fn with_head(dir: &Path, size: &str, version: u32) -> String {
    let source = dir.join(format!("head{version}.c"));
    let text = format!(
        "#include \"orbit_hook.h\"\nstatic OrbitPlugin plugin = {{ .size = {size}, .version = {version} }};\n\
         const OrbitPlugin *orbit_hook_entry(void);\nconst OrbitPlugin *orbit_hook_entry(void) {{ return &plugin; }}\n"
    );
    fs::write(&source, text).unwrap();
    let out = source.with_extension("so");
    compile(&source, &out);
    Library::open(find(&out).unwrap()).unwrap_err().to_string()
}

#[test]
fn a_table_of_another_version_is_refused_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let message = with_head(dir.path(), "sizeof(OrbitPlugin)", 7);
    assert!(message.contains("built for plugin interface 7, and this program reads 1 to 1"), "{message}");
    let message = with_head(dir.path(), "16", 1);
    assert!(message.contains("its table has 16 bytes"), "{message}");
}

#[test]
fn the_manifests_of_the_examples_are_right() {
    for name in ["l2-ball", "kl-anchor", "orbit", "weight-average", "instruction-vector", "l2-ball-c"] {
        let path = Path::new(crate::program::ROOT).join("plugins").join(name).join("plugin.toml");
        let manifest = Manifest::read(&path).unwrap();
        assert_eq!(manifest.id, name);
        let opened = Library::open(find(&library(name)).unwrap()).unwrap();
        assert_eq!((opened.id(), opened.release()), (name, manifest.version.as_str()));
        opened.hook(&manifest.example).unwrap();
    }
}
