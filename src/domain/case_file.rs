//! Case files (Akten): opening, taking over, closing.

use super::codes::{Medium, Protection};
use super::decision::{NewEvent, Numbers, Refusal};
use super::event::{CaseFileClosed, CaseFileOpened, Event, NumberDrawn, Party};
use super::guard::CounterKey;
use super::plan::{PlanUnit, Tenant};
use super::reference::FileReference;
use super::text::Line;
use super::{CaseFileId, UnitId};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Akte: a case file and where its life stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFile {
    /// Which one.
    pub id: CaseFileId,
    /// What it was opened with.
    pub data: CaseFileOpened,
    /// z.d.A. in this system, with the day it counts from. A file taken over closed has this day in its data.
    pub closed_here_on: Option<Date>,
}

/// The wish to open a case file, or to take one over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCaseFile {
    /// Aktenzeichen of a file taken over; none means that the next number is drawn.
    pub reference: Option<FileReference>,
    /// Old signatures under which it is also found.
    pub aliases: Vec<Line>,
    /// Betreff.
    pub title: Line,
    /// Federführende Organisationseinheit.
    pub unit: UnitId,
    /// Aktentyp.
    pub case_type: Line,
    /// Schutzklasse.
    pub protection: Protection,
    /// Aufbewahrungsklasse; none means the file plan's.
    pub retention_class: Option<Line>,
    /// Paper, electronic, or both.
    pub medium: Medium,
    /// Where the paper stands.
    pub paper_location: Option<Line>,
    /// Laufzeit: first day.
    pub begins_on: Option<Date>,
    /// Laufzeit: last day.
    pub ends_on: Option<Date>,
    /// z.d.A. of a file taken over closed.
    pub closed_on: Option<Date>,
    /// Beteiligte.
    pub parties: Vec<Party>,
    /// Index fields of the case-file type.
    pub fields: BTreeMap<String, String>,
    /// The key under which a manifest named it.
    pub import_key: Option<String>,
}

impl OpenCaseFile {
    /// Checks what does not depend on the moment.
    ///
    /// # Errors
    /// [`Refusal`] when days contradict each other, a paper file has no place, or no retention class is known.
    pub fn check(&self, plan_unit: &PlanUnit) -> Result<(), Refusal> {
        for (earlier, later, days) in [
            ("das Ende der Laufzeit", "ihr Beginn", (self.begins_on, self.ends_on)),
            ("der Tag der z.d.A.-Verfügung", "der Beginn der Laufzeit", (self.begins_on, self.closed_on)),
        ] {
            if let (Some(first), Some(last)) = days
                && last < first
            {
                return Err(Refusal::Order { earlier: later, later: earlier });
            }
        }
        if self.medium == Medium::Paper && self.paper_location.is_none() {
            return Err(Refusal::PlaceMissing);
        }
        if self.retention_class.is_none() && plan_unit.data.retention_class.is_none() {
            return Err(Refusal::NoRetentionClass);
        }
        Ok(())
    }

    /// The events of opening: a number drawn from the plan unit's counter, or the counter moved past a
    /// reference of the tenant's own style, and the case file itself. `today` is the tenant's civil date.
    pub fn decide(
        &self,
        id: CaseFileId,
        plan_unit: &PlanUnit,
        tenant: &Tenant,
        today: Date,
        numbers: &mut dyn Numbers,
    ) -> Vec<NewEvent> {
        let (template, plan) = (&tenant.reference_template, plan_unit.data.code.as_str());
        let counter = |year| CounterKey { owner: plan_unit.id.into(), scope: template.scope(year) };
        let (reference, drawn) = if let Some(reference) = &self.reference {
            let own = template.parse(plan, reference.as_str());
            let drawn = own.map(|(year, seq)| (counter(year.unwrap_or(today.year())), seq));
            (reference.to_string(), drawn.filter(|(counter, seq)| *seq > numbers.last(counter)))
        } else {
            let year = self.begins_on.unwrap_or(today).year();
            let counter = counter(year);
            let seq = numbers.draw(&counter);
            (template.render(plan, year, seq), Some((counter, seq)))
        };
        let drawn = drawn.map(|(counter, value)| {
            NewEvent::new(counter.owner, Event::NumberDrawn(NumberDrawn { scope: counter.scope, value }))
        });
        let opened = NewEvent::new(id, Event::CaseFileOpened(self.record(reference, plan_unit)));
        drawn.into_iter().chain([opened]).collect()
    }

    fn record(&self, reference: String, plan_unit: &PlanUnit) -> CaseFileOpened {
        let text = |line: &Line| line.as_str().to_owned();
        CaseFileOpened {
            reference,
            aliases: self.aliases.iter().map(text).collect(),
            title: text(&self.title),
            plan_unit: plan_unit.id,
            unit: self.unit,
            case_type: text(&self.case_type),
            protection: self.protection,
            retention_class: self
                .retention_class
                .as_ref()
                .map(text)
                .or_else(|| plan_unit.data.retention_class.clone())
                .unwrap_or_default(),
            medium: self.medium,
            paper_location: self.paper_location.as_ref().map(text),
            begins_on: self.begins_on,
            ends_on: self.ends_on,
            closed_on: self.closed_on,
            parties: self.parties.clone(),
            fields: self.fields.clone(),
            import_key: self.import_key.clone(),
        }
    }
}

impl CaseFile {
    /// The state that follows from the case file's first event.
    pub fn opened(id: CaseFileId, data: CaseFileOpened) -> Self {
        Self { id, data, closed_here_on: None }
    }

    /// The state after a further event; events of other entities change nothing.
    pub fn apply(&mut self, event: &Event, counts_from: Date) {
        if let Event::CaseFileClosed(CaseFileClosed {}) = event {
            self.closed_here_on = Some(counts_from);
        }
    }

    /// z.d.A., wherever it happened.
    pub fn closed_on(&self) -> Option<Date> {
        self.closed_here_on.or(self.data.closed_on)
    }

    /// Whether a document may be filed here now. A file that came closed still takes the scans of its paper;
    /// one that was closed in this system does not.
    ///
    /// # Errors
    /// [`Refusal::Closed`], or [`Refusal::PaperOnly`] for a file kept on paper.
    pub fn takes_documents(&self) -> Result<(), Refusal> {
        if self.closed_here_on.is_some() {
            Err(Refusal::Closed(self.id))
        } else if self.data.medium == Medium::Paper {
            Err(Refusal::PaperOnly(self.id))
        } else {
            Ok(())
        }
    }

    /// The event of closing.
    ///
    /// # Errors
    /// When it is closed already, or the day lies before its beginning.
    pub fn close(&self, counts_from: Date) -> Result<NewEvent, Refusal> {
        if self.closed_on().is_some() {
            return Err(Refusal::Closed(self.id));
        }
        if self.data.begins_on.is_some_and(|first| counts_from < first) {
            return Err(Refusal::Order {
                earlier: "der Beginn der Laufzeit",
                later: "der Tag der z.d.A.-Verfügung",
            });
        }
        Ok(NewEvent::new(self.id, Event::CaseFileClosed(CaseFileClosed {})))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::PlanUnitCreated;
    use crate::domain::{EntityId, PlanUnitId};
    use jiff::civil::date;
    use uuid::Uuid;

    #[derive(Default)]
    struct Counters(BTreeMap<(EntityId, String), u64>);

    impl Numbers for Counters {
        fn draw(&mut self, counter: &CounterKey) -> u64 {
            let last = self.0.entry((counter.owner, counter.scope.clone())).or_default();
            *last += 1;
            *last
        }
        fn last(&self, counter: &CounterKey) -> u64 {
            self.0.get(&(counter.owner, counter.scope.clone())).copied().unwrap_or(0)
        }
    }

    fn plan_unit() -> PlanUnit {
        let data = PlanUnitCreated {
            code: "60.10".into(),
            title: "Baugenehmigungen".into(),
            parent: None,
            retention_class: Some("30".into()),
            disposal: None,
            legal_basis: None,
        };
        PlanUnit { id: PlanUnitId::from_uuid(Uuid::from_u128(1)), data }
    }

    fn tenant() -> Tenant {
        Tenant {
            name: Line::new("Stadt Steverau").unwrap(),
            time_zone: "Europe/Berlin".into(),
            reference_template: "{plan}-{year}/{seq}".parse().unwrap(),
        }
    }

    fn wish(reference: Option<&str>) -> OpenCaseFile {
        OpenCaseFile {
            reference: reference.map(|text| text.parse().unwrap()),
            aliases: Vec::new(),
            title: Line::new("Carport Lindenweg 4").unwrap(),
            unit: UnitId::from_uuid(Uuid::from_u128(2)),
            case_type: Line::new("Bauakte").unwrap(),
            protection: Protection::Normal,
            retention_class: None,
            medium: Medium::Electronic,
            paper_location: None,
            begins_on: Some(date(2024, 3, 1)),
            ends_on: None,
            closed_on: None,
            parties: Vec::new(),
            fields: BTreeMap::new(),
            import_key: None,
        }
    }

    fn open(wish: &OpenCaseFile, counters: &mut Counters) -> (String, Option<u64>) {
        let id = CaseFileId::from_uuid(Uuid::from_u128(3));
        let events = wish.decide(id, &plan_unit(), &tenant(), date(2026, 1, 2), counters);
        let mut drawn = None;
        for new in events {
            match new.event {
                Event::NumberDrawn(data) => {
                    counters.0.insert((new.entity, data.scope), data.value);
                    drawn = Some(data.value);
                }
                Event::CaseFileOpened(data) => return (data.reference, drawn),
                other => panic!("{other:?}"),
            }
        }
        panic!("no case file was opened");
    }

    #[test]
    fn numbers_are_drawn_one_after_the_other_and_imported_ones_move_the_counter() {
        let mut counters = Counters::default();
        assert_eq!(open(&wish(None), &mut counters), ("60.10-2024/1".into(), Some(1)));
        assert_eq!(open(&wish(None), &mut counters), ("60.10-2024/2".into(), Some(2)));
        assert_eq!(open(&wish(Some("60.10-2024/17")), &mut counters), ("60.10-2024/17".into(), Some(17)));
        assert_eq!(open(&wish(Some("60.10-2024/9")), &mut counters), ("60.10-2024/9".into(), None));
        assert_eq!(open(&wish(Some("III/4 b")), &mut counters), ("III/4 b".into(), None));
        assert_eq!(open(&wish(None), &mut counters), ("60.10-2024/18".into(), Some(18)));
    }

    #[test]
    fn a_file_closed_here_takes_no_documents_but_one_taken_over_closed_does() {
        let mut counters = Counters::default();
        let id = CaseFileId::from_uuid(Uuid::from_u128(3));
        let data = wish(None);
        let opened = |wish: &OpenCaseFile, counters: &mut Counters| {
            let events = wish.decide(id, &plan_unit(), &tenant(), date(2026, 1, 2), counters);
            match events.into_iter().last().unwrap().event {
                Event::CaseFileOpened(data) => CaseFile::opened(id, data),
                other => panic!("{other:?}"),
            }
        };
        let mut file = opened(&data, &mut counters);
        assert_eq!(file.takes_documents(), Ok(()));
        let event = file.close(date(2025, 1, 1)).unwrap().event;
        file.apply(&event, date(2025, 1, 1));
        assert_eq!(file.closed_on(), Some(date(2025, 1, 1)));
        assert_eq!(file.takes_documents(), Err(Refusal::Closed(id)));
        assert_eq!(file.close(date(2025, 1, 1)), Err(Refusal::Closed(id)));

        let taken_over = OpenCaseFile { closed_on: Some(date(2024, 12, 31)), ..data };
        let file = opened(&taken_over, &mut counters);
        assert_eq!(file.closed_on(), Some(date(2024, 12, 31)));
        assert_eq!(file.takes_documents(), Ok(()));
    }

    #[test]
    fn contradictions_are_refused_before_anything_is_recorded() {
        let check = |change: fn(&mut OpenCaseFile)| {
            let mut wish = wish(None);
            change(&mut wish);
            wish.check(&plan_unit())
        };
        assert_eq!(check(|_| {}), Ok(()));
        assert!(matches!(check(|w| w.closed_on = Some(date(2020, 1, 1))), Err(Refusal::Order { .. })));
        assert!(matches!(check(|w| w.ends_on = Some(date(2020, 1, 1))), Err(Refusal::Order { .. })));
        assert_eq!(check(|w| w.medium = Medium::Paper), Err(Refusal::PlaceMissing));
        let mut bare = plan_unit();
        bare.data.retention_class = None;
        assert_eq!(wish(None).check(&bare), Err(Refusal::NoRetentionClass));
    }
}
