//! Rust as tokens: enough of it to tell a word of code from one in a comment or a text.

/// One token of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
    pub text: String,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Word,
    Text,
    Mark,
}

/// Splits Rust into words, literals and marks; comments are dropped.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let (kind, end) = next_token(&chars, at);
        let piece: String = chars[at..end].iter().collect();
        if let Some(kind) = kind {
            out.push(Token { line, kind, text: piece.clone() });
        }
        line += piece.matches('\n').count();
        at = end;
    }
    out
}

/// The kind of what begins at `at` (`None`: space or comment) and where it ends.
fn next_token(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let is = |offset: usize, c: char| chars.get(at + offset) == Some(&c);
    let until = |from: usize, stop: &dyn Fn(usize) -> bool| {
        (from..chars.len()).find(|place| stop(*place)).unwrap_or(chars.len())
    };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if chars[at].is_whitespace() {
        return (None, at + 1);
    }
    if is(0, '/') && is(1, '/') {
        return (None, until(at, &|place| chars[place] == '\n'));
    }
    if is(0, '/') && is(1, '*') {
        return (None, block_comment_end(chars, at));
    }
    let raw = at + usize::from(is(0, 'b'));
    if chars.get(raw) == Some(&'r') {
        let hashes = chars[raw + 1..].iter().take_while(|c| **c == '#').count();
        if chars.get(raw + 1 + hashes) == Some(&'"') {
            let closes = |place: usize| {
                chars[place] == '"'
                    && (1..=hashes).all(|step| chars.get(place + step) == Some(&'#'))
            };
            let end = until(raw + 2 + hashes, &closes);
            return (Some(Kind::Text), (end + 1 + hashes).min(chars.len()));
        }
    }
    if is(0, '"') || (is(0, 'b') && is(1, '"')) {
        let mut end = at + 1 + usize::from(is(0, 'b'));
        while end < chars.len() && chars[end] != '"' {
            end += if chars[end] == '\\' { 2 } else { 1 };
        }
        return (Some(Kind::Text), (end + 1).min(chars.len()));
    }
    if is(0, '\'') {
        // A character literal, or a lifetime, which is only a mark.
        if is(1, '\\') {
            let end = until(at + 3, &|place| chars[place] == '\'');
            return (Some(Kind::Text), (end + 1).min(chars.len()));
        }
        return if is(2, '\'') { (Some(Kind::Text), at + 3) } else { (Some(Kind::Mark), at + 1) };
    }
    if word(chars[at]) {
        return (Some(Kind::Word), until(at, &|place| !word(chars[place])));
    }
    (Some(Kind::Mark), at + if is(0, ':') && is(1, ':') { 2 } else { 1 })
}

/// Where a block comment that begins at `at` ends; they nest.
fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut end) = (0usize, at);
    while end < chars.len() {
        match (chars[end], chars.get(end + 1)) {
            ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
            ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end.min(chars.len())
}
