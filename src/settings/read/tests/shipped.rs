//! The configuration that comes with the program, and what its comments say.

use super::*;

#[test]
fn the_shipped_configuration_is_good_and_its_comments_tell_the_defaults() {
    let text = include_str!("../../../../config/calmline.toml");
    let settings = Settings::parse(text, Path::new("config/calmline.toml")).expect("good");
    // Every commented-out `key = value` line is put in force: it must be understood, and be the default it claims to be.
    let examples = [
        "external_address",
        "address",
        "token_file",
        "token_env",
        "frame_ancestors",
        "runtime",
        "model",
        "shadow_model",
        "shadow_text_model",
        "trusted_keys",
        "lexicons",
        "lists",
        "proxy",
        "cpus",
        "codecs",
        "networks",
        "audiosocket",
        "websocket",
        "agents",
        "time_zone",
    ];
    let in_force: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !examples.iter().any(|e| key.starts_with(e)) && is_key(key) => key,
            _ => line,
        })
        .collect();
    assert!(in_force.contains(&"calls = 500"));
    let spelled_out = Settings::parse(&in_force.join("\n"), Path::new("config/calmline.toml")).expect("good");
    // They are written otherwise.
    let [spelled_out, settings] = [spelled_out, settings].map(|read| Settings { written: Written::default(), ..read });
    assert_eq!(format!("{spelled_out:?}"), format!("{settings:?}"));
}

fn is_key(line: &str) -> bool {
    line.split(" = ").next().is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}
