//! Text from HTML and XML: without tags, scripts and entities. No attempt is made to understand the document.

/// Elements that end a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "table",
    "title",
    "tr",
    "ul",
];
/// Elements whose content nobody reads.
const SILENT: &[&str] = &["script", "style", "template", "noscript"];

/// The text of an HTML document.
pub(super) fn html(source: &str) -> String {
    strip(source, true)
}

/// The text of an XML document: the content of its elements, an element a line.
pub(super) fn xml(source: &str) -> String {
    strip(source, false)
}

fn strip(source: &str, is_html: bool) -> String {
    let mut text = String::new();
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        push_text(&mut text, &rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let end = data.find("]]>").unwrap_or(data.len());
            text.push_str(&data[..end]);
            rest = data.get(end + 3..).unwrap_or("");
            continue;
        }
        let is_tag = rest[1..].starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '!' | '?' | '_'));
        if !is_tag {
            text.push('<');
            rest = &rest[1..];
            continue;
        }
        let Some(end) = tag_end(rest) else { break };
        let name: String = rest[1..end]
            .trim_start_matches('/')
            .chars()
            .take_while(|c| c.is_alphanumeric())
            .collect::<String>()
            .to_ascii_lowercase();
        let closes = rest[1..].starts_with('/');
        rest = &rest[end + 1..];
        if is_html {
            if SILENT.contains(&name.as_str()) && !closes {
                rest = after_closing(rest, &name);
            } else if BLOCKS.contains(&name.as_str()) {
                end_line(&mut text);
            } else if (name == "td" || name == "th") && !text.ends_with([' ', '\n']) {
                text.push(' ');
            }
        } else {
            end_line(&mut text);
        }
    }
    push_text(&mut text, rest.split('<').next().unwrap_or_default());
    text.trim().to_owned()
}

/// The place of the `>` that ends this tag; quotes may hold others.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: take the next `>`.
    tag.find('>')
}

fn after_closing<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = rest[from..].find("</") {
        let at = from + at + 2;
        if rest.get(at..at + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return rest[at..].find('>').map_or("", |end| &rest[at + end + 1..]);
        }
        from = at;
    }
    ""
}

fn end_line(text: &mut String) {
    while text.ends_with(' ') {
        text.pop();
    }
    if !text.is_empty() && !text.ends_with("\n\n") && !text.ends_with('\n') {
        text.push('\n');
    }
}

/// Adds text with its white space gathered and its entities resolved.
fn push_text(text: &mut String, source: &str) {
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            if !text.is_empty() && !text.ends_with([' ', '\n']) {
                text.push(' ');
            }
            rest = rest.trim_start();
        } else if c == '&'
            && let Some((entity, length)) = entity(rest)
        {
            text.push_str(entity.encode_utf8(&mut [0; 4]));
            rest = &rest[length..];
        } else {
            text.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
}

/// A character reference at the start of this text, and its length.
fn entity(text: &str) -> Option<(char, usize)> {
    const NAMED: &[(&str, char)] = &[
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", '\u{a0}'),
        ("auml", 'ä'),
        ("ouml", 'ö'),
        ("uuml", 'ü'),
        ("Auml", 'Ä'),
        ("Ouml", 'Ö'),
        ("Uuml", 'Ü'),
        ("szlig", 'ß'),
        ("euro", '€'),
        ("sect", '§'),
        ("bdquo", '„'),
        ("ldquo", '“'),
        ("rdquo", '”'),
        ("sbquo", '‚'),
        ("lsquo", '‘'),
        ("rsquo", '’'),
        ("laquo", '«'),
        ("raquo", '»'),
        ("ndash", '–'),
        ("mdash", '—'),
        ("hellip", '…'),
        ("bull", '•'),
        ("deg", '°'),
        ("copy", '©'),
        ("reg", '®'),
        ("middot", '·'),
        ("times", '×'),
        ("eacute", 'é'),
        ("egrave", 'è'),
        ("aacute", 'á'),
        ("agrave", 'à'),
        ("ccedil", 'ç'),
        ("shy", '\u{ad}'),
        ("frac12", '½'),
        ("sup2", '²'),
        ("sup3", '³'),
    ];
    let body = text.strip_prefix('&')?;
    let end = body.bytes().take(10).position(|byte| byte == b';')?;
    let name = &body[..end];
    let found = match name.strip_prefix('#') {
        Some(number) => {
            let hex = number.strip_prefix(['x', 'X']);
            let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
            char::from_u32(code).filter(|c| !c.is_control())?
        }
        None => NAMED.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((found, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        assert_eq!(html(source), expected, "{source}");
    }

    #[test]
    fn tags_scripts_and_entities_are_not_read() {
        check("<p>Stra&szlig;e &amp; Platz</p><p>zwei</p>", "Straße & Platz\nzwei");
        check("<script>if (a < b) alert('x</p>')</SCRIPT>da", "da");
        check("a<!-- <p>nicht --> b", "a b");
        check("<a title='x > y'>Link</a>", "Link");
        check("1 < 2 und 3 > 2", "1 < 2 und 3 > 2");
        check("&#220;ber &#x20AC; &unbekannt; &#0;", "Über € &unbekannt; &#0;");
        check("<tr><td>a</td><td>b</td></tr><tr><td>c", "a b\nc");
        check("<p", "");
        check("<script>ohne Ende", "");
        check("&", "&");
        check("ä<", "ä<");
    }

    #[test]
    fn xml_gives_an_element_a_line() {
        assert_eq!(xml("<?xml version='1.0'?><a><b>eins</b><c><![CDATA[<zwei>]]></c></a>"), "eins\n<zwei>");
    }
}
