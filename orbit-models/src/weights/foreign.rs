//! What a file is that is no safetensors file.

use std::path::Path;

/// Bytes of a file that are looked at.
const LOOKED_AT: usize = 512;

/// What the file is, where it is something that is often found under the name, and what to do.
pub(super) fn recognized(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(LOOKED_AT)];
    if start.is_empty() {
        return Some("the file is empty: fetch it again".to_owned());
    }
    if start.starts_with(b"version https://git-lfs") {
        return Some("a pointer of Git LFS, not the file itself: run `git lfs pull`".to_owned());
    }
    if start.starts_with(b"GGUF") {
        return Some("a GGUF file: give its path, with the ending .gguf, in place of a directory".to_owned());
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"\x80\x02") {
        return Some(
            "a pickle of PyTorch, which can run any code when it is opened: save it as safetensors".to_owned(),
        );
    }
    let text = std::str::from_utf8(start).ok()?.trim();
    if text.starts_with('<') {
        return Some("a page of HTML: the download gave an error page, fetch the file again".to_owned());
    }
    let target = Path::new(text).extension().is_some_and(|end| end == "safetensors") && !text.contains('\n');
    target.then(|| format!("the text of a link to {text}, not the file itself: copy what the link leads to"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_often_found_under_the_name_is_told() {
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
            (b"GGUF\x03\0\0\0", "GGUF"),
            (b"PK\x03\x04archive/data.pkl", "pickle"),
            (b"<!doctype html><html>", "HTML"),
            (b"../../blobs/model.safetensors", "a link to ../../blobs/model.safetensors"),
        ] {
            assert!(recognized(bytes).is_some_and(|what| what.contains(expected)), "{expected}");
        }
        assert_eq!(recognized(b"\x08\0\0\0\0\0\0\0{}      "), None);
        assert_eq!(recognized(b"not weights"), None);
    }
}
