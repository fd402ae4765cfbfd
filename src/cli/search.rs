//! `eakte search`.

use super::args::Search;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::out::{Out, counted, hint, plain};
use super::rows::{HitLine, SearchLine};
use crate::search::{Filter, Snippet};

pub(super) fn run(context: &Context, args: &Search, out: &mut Out) -> Result<Exit, Failure> {
    if let Some(url) = context.server() {
        return super::remote::search(context, url, args, out);
    }
    let desk = context.desk(false)?;
    desk.archive.follow()?;
    let mut filter = Filter::default();
    if let Some(name) = &args.case_file {
        let found = desk.archive.find_case_file(&desk.permit, name)?;
        let id = found.ok_or_else(|| Failure::refused(format!("Die Akte „{name}“ gibt es nicht.")))?;
        filter.case_file_id = Some(id.uuid());
    }
    let text = args.query.join(" ");
    let page = desk.archive.search(&desk.permit, &text, filter, args.offset, usize::from(args.limit))?;
    let hits = page.hits.into_iter().map(|hit| {
        let line = HitLine {
            document_id: hit.document.to_string(),
            file_reference: hit.file_reference,
            title: hit.title,
            source_name: hit.source_name,
            page: hit.page,
            snippet: hit.snippet.as_ref().map(|snippet| snippet.text.clone()),
            score: hit.score,
        };
        (line, hit.snippet)
    });
    let (hits, snippets): (Vec<_>, Vec<_>) = hits.unzip();
    let result = SearchLine { total: page.total, hits };
    out.object(&result);
    if !out.json {
        present(&result, &snippets, args.offset, out);
    }
    for note in page.notes {
        hint(note);
    }
    let health = desk.archive.health()?;
    let waiting = health.unread[0] + health.unread[1];
    if waiting > 0 {
        hint(format!(
            "Hinweis: {} noch nicht erschlossen und nur mit Stammdaten zu finden. Das Erschließen geschieht von selbst, \
             während „eakte serve“ läuft.",
            counted(waiting, "Dokument ist", "Dokumente sind")
        ));
    }
    if health.unread[2] > 0 && !health.ocr_available {
        hint(format!(
            "Hinweis: {} auf Texterkennung. Abhilfe: {}; danach holt „eakte serve“ sie nach.",
            counted(health.unread[2], "Dokument wartet", "Dokumente warten"),
            super::INSTALL_OCR
        ));
    }
    Ok(Exit::Done)
}

/// Hits for people; `snippets` say where in them the words stand, if that is known.
pub(super) fn present(result: &SearchLine, snippets: &[Option<Snippet>], offset: usize, out: &mut Out) {
    out.text(counted(result.total, "Treffer", "Treffer"));
    for (at, hit) in result.hits.iter().enumerate() {
        let number = offset + at + 1;
        let page = hit.page.map(|page| format!(", Seite {page}")).unwrap_or_default();
        let reference = hit.file_reference.as_deref().unwrap_or("Posteingang");
        out.text(format!("\n{number:>3}. {}{page}  [{}]", plain(&hit.title), plain(reference)));
        let passage = snippets.get(at).and_then(Option::as_ref).map(marked).or_else(|| hit.snippet.clone());
        if let Some(passage) = passage {
            out.text(format!("     {}", plain(&passage)));
        }
        out.text(format!("     {}  {}", plain(&hit.source_name), hit.document_id));
    }
}

/// The passage with what was searched for in brackets: every terminal and every screen reader shows that.
fn marked(snippet: &Snippet) -> String {
    let mut text = String::with_capacity(snippet.text.len() + 8);
    let mut at = 0;
    for mark in &snippet.marks {
        let (Some(before), Some(inside)) = (snippet.text.get(at..mark.start), snippet.text.get(mark.clone()))
        else {
            continue;
        };
        text.push_str(before);
        text.push('»');
        text.push_str(inside);
        text.push('«');
        at = mark.end;
    }
    text.push_str(snippet.text.get(at..).unwrap_or_default());
    text
}
