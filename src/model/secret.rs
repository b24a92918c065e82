//! What looks like a secret by its name or its form.

/// Words that make a name look secret, wherever they stand between `_`, `-`, `.` or a change of case.
const SECRET_WORDS: &[&str] = &[
    "AUTHORIZATION",
    "COOKIE",
    "CREDENTIAL",
    "CREDENTIALS",
    "DSN",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PASSWORDS",
    "PWD",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
];

/// Pairs of words that do.
const SECRET_PAIRS: &[(&str, &str)] = &[
    ("ACCESS", "KEY"),
    ("API", "KEY"),
    ("AUTH", "KEY"),
    ("ENCRYPTION", "KEY"),
    ("PRIVATE", "KEY"),
    ("SIGNING", "KEY"),
];

/// Whether the name of a variable or header says that its value is secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    // The shell's working directory is the one use of `PWD` that is no password.
    if matches!(name, "PWD" | "OLDPWD") {
        return false;
    }
    let words = words(name);
    let joined = |word: &String| SECRET_WORDS.iter().any(|secret| secret.len() > 3 && word.ends_with(secret));
    words.iter().any(|word| SECRET_WORDS.contains(&word.as_str()) || joined(word) || word == "APIKEY")
        || words.windows(2).any(|pair| SECRET_PAIRS.contains(&(&pair[0], &pair[1])))
}

/// The words of a name in upper case: `X-ApiKey_v2` is `X`, `API`, `KEY`, `V2`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        let starts_word = after_lower && c.is_uppercase();
        if !c.is_alphanumeric() || starts_word {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_uppercase());
        }
        after_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text holds a URL with a password: `scheme://user:password@host`.
#[must_use]
pub fn has_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let rest = &text[at + separator.len()..];
        let authority = rest.split(['/', '?', '#', ' ', '\n']).next().unwrap_or_default();
        authority
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .is_some_and(|(_, password)| !password.is_empty())
    })
}
