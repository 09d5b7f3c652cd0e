// A store in Rust, with nothing but its standard library: blobs are files of
// one folder, which shield opens for the module.
//
// rustc --target wasm32-wasi -O -C linker=wasm-ld store.rs -o store.wasm
use std::fs::{self, File};
use std::io::{self, Error, ErrorKind, Read, Write};
use std::process::exit;

const INFO: &str = r#"{"name": "rustic", "author": "you", "version": "1.0.0",
 "summary": "a folder of files",
 "features": {"target": "no", "store": "yes"}, "naming": true, "actions": ["list"],
 "fields": [{"mode": "store", "name": "folder", "type": "abspath", "required": true,
   "title": "Folder", "example": "/mnt/archives"}],
 "capabilities": {"write": ["{folder}"], "memory": "16MiB"}}"#;

// text finds a text in the endpoint. One with escapes is refused rather than
// misread.
fn text(json: &str, name: &str) -> Option<String> {
    let from = json.split(&format!("\"{}\":\"", name)).nth(1)?;
    let value = from.split('"').next()?;
    if value.contains('\\') { None } else { Some(value.to_string()) }
}

// encode makes a file name of any key, and decode undoes that.
fn encode(key: &str) -> String {
    key.bytes().map(|b| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => (b as char).to_string(),
        _ => format!("%{:02x}", b),
    }).collect()
}

fn decode(name: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = name.as_bytes();
    while let Some(&b) = rest.first() {
        if b == b'%' {
            let hex = std::str::from_utf8(rest.get(1..3)?).ok()?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &rest[3..];
        } else {
            out.push(b);
            rest = &rest[1..];
        }
    }
    String::from_utf8(out).ok()
}

fn quote(s: &str) -> String {
    s.replace('\\', "\\\\").replace('"', "\\\"")
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<u64> {
    let mut buf = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        let n = from.read(&mut buf)?;
        if n == 0 { return Ok(total); }
        to.write_all(&buf[..n])?;
        total += n as u64;
    }
}

// store makes the blob visible only when all of it is on the disk.
fn store(folder: &str, key: &str) -> io::Result<()> {
    let path = format!("{}/{}", folder, encode(key));
    let part = format!("{}.part", path);
    let mut file = File::create(&part)?;
    let size = copy(&mut io::stdin(), &mut file)?;
    file.sync_all()?;
    fs::rename(&part, &path)?;
    println!("{{\"key\": \"{}\", \"size\": {}}}", quote(key), size);
    Ok(())
}

fn purge(path: &str) -> io::Result<()> {
    let _ = fs::remove_file(format!("{}.part", path));
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn list(folder: &str, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_string();
        let key = match decode(&name) { Some(k) if !name.ends_with(".part") => k, _ => continue };
        if key.starts_with(prefix) {
            let size = entry.metadata()?.len();
            println!("{{\"key\": \"{}\", \"size\": {}, \"modified_at\": \"1970-01-01T00:00:00Z\"}}", quote(&key), size);
        }
    }
    Ok(())
}

fn run(args: &[String]) -> io::Result<()> {
    let flag = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned().unwrap_or_default();
    let missing = || Error::new(ErrorKind::InvalidInput, "folder is missing, or has escapes in it");
    let folder = text(&flag("--endpoint"), "folder").ok_or_else(missing)?;
    let path = format!("{}/{}", folder, encode(&flag("--key")));
    match args.get(1).map(String::as_str) {
        Some("store") => store(&folder, &flag("--name")),
        Some("retrieve") => copy(&mut File::open(path)?, &mut io::stdout()).map(|_| ()),
        Some("purge") => purge(&path),
        Some("list") => list(&folder, &flag("--prefix")),
        _ => { eprintln!("the action is not supported"); exit(2) }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).map(String::as_str) == Some("info") { return println!("{}", INFO); }
    if let Err(e) = run(&args) {
        eprintln!("{}", e);
        exit(match e.kind() { ErrorKind::NotFound => 5, ErrorKind::InvalidInput => 12, _ => 4 });
    }
}
