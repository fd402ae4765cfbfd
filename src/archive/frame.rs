//! The frame records live in: units, file plan, case files. Making something that is already there is no fault:
//! it is found by its code or key, so that a repeated import adds nothing.

use super::{Archive, Error, Kind, Permission, Permit};
use crate::clock::new_id;
use crate::domain::case_file::OpenCaseFile;
use crate::domain::codes::Disposal;
use crate::domain::decision::{Decision, NewEvent};
use crate::domain::event::{Event, PlanUnitCreated, UnitCreated};
use crate::domain::guard::{Guard, UniqueKey};
use crate::domain::plan::{PlanUnit, Tenant};
use crate::domain::text::Line;
use crate::domain::{CaseFileId, EntityId, EntityKind, PlanUnitId, UnitId};
use crate::journal::{AppendError, Command, Projection as _};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::{Mutex, PoisonError};

/// Organisationseinheit, to be made.
#[derive(Clone, Debug)]
pub struct NewUnit {
    /// Short code, unique.
    pub code: Line,
    /// Name.
    pub name: Line,
    /// Code of the unit above.
    pub parent: Option<Line>,
}

/// Aktenplaneinheit, to be made.
#[derive(Clone, Debug)]
pub struct NewPlanUnit {
    /// Code, unique.
    pub code: Line,
    /// What belongs here.
    pub title: Line,
    /// Code of the plan unit above.
    pub parent: Option<Line>,
    /// Aufbewahrungsklasse; none means that of the one above.
    pub retention_class: Option<Line>,
    /// What happens at the end of retention; none means that of the one above.
    pub disposal: Option<Disposal>,
    /// The law behind the class.
    pub legal_basis: Option<Line>,
}

/// Akte, to be opened or taken over.
#[derive(Clone, Debug)]
pub struct NewCaseFile {
    /// Code of its place in the file plan.
    pub plan_unit: Line,
    /// Everything else.
    pub wish: OpenCaseFile,
}

impl Archive {
    fn record(&self, permit: &Permit, decision: Decision) -> Result<(), AppendError> {
        self.journal.append(Command::record(permit.context(), decision)).map(drop)
    }

    /// Makes a unit, or finds the one with this code.
    ///
    /// # Errors
    /// When the unit above is unknown.
    pub fn create_unit(&self, permit: &Permit, new: &NewUnit) -> Result<(UnitId, bool), Error> {
        permit.require(Permission::Manage)?;
        if let Some(id) = self.catalogue.unit_by_code(new.code.as_str())? {
            return Ok((id, false));
        }
        let parent = new.parent.as_ref().map(|code| self.unit_named(code.as_str())).transpose()?;
        let id = UnitId::from_uuid(new_id(&*self.clock, &*self.entropy));
        let data = UnitCreated { code: new.code.to_string(), name: new.name.to_string(), parent };
        let events = vec![NewEvent::new(id, Event::UnitCreated(data))];
        match self.record(permit, Decision { guards: Vec::new(), events }) {
            Ok(()) => Ok((id, true)),
            Err(AppendError::Taken { owner, .. }) => Ok((UnitId::from_uuid(owner.id), false)),
            Err(error) => Err(error.into()),
        }
    }

    /// The unit with this code.
    ///
    /// # Errors
    /// [`Kind::Invalid`] when there is none.
    pub fn unit_named(&self, code: &str) -> Result<UnitId, Error> {
        self.catalogue.unit_by_code(code)?.ok_or_else(|| {
            Error::new(Kind::Invalid, format!("Die Organisationseinheit „{code}“ gibt es nicht."))
        })
    }

    /// Makes a plan unit, or finds the one with this code. Class and disposal are inherited here, once.
    ///
    /// # Errors
    /// When the plan unit above is unknown.
    pub fn create_plan_unit(&self, permit: &Permit, new: &NewPlanUnit) -> Result<(PlanUnitId, bool), Error> {
        permit.require(Permission::Manage)?;
        if let Some(id) = self.catalogue.plan_unit_by_code(new.code.as_str())? {
            return Ok((id, false));
        }
        let parent = new.parent.as_ref().map(|code| self.plan_unit_named(code.as_str())).transpose()?;
        let above = parent.as_ref().map(|parent| &parent.data);
        let text = |line: &Option<Line>| line.as_ref().map(Line::to_string);
        let data = PlanUnitCreated {
            code: new.code.to_string(),
            title: new.title.to_string(),
            parent: parent.as_ref().map(|parent| parent.id),
            retention_class: text(&new.retention_class)
                .or_else(|| above.and_then(|above| above.retention_class.clone())),
            disposal: new.disposal.or_else(|| above.and_then(|above| above.disposal)),
            legal_basis: text(&new.legal_basis).or_else(|| above.and_then(|above| above.legal_basis.clone())),
        };
        let id = PlanUnitId::from_uuid(new_id(&*self.clock, &*self.entropy));
        let events = vec![NewEvent::new(id, Event::PlanUnitCreated(data))];
        match self.record(permit, Decision { guards: Vec::new(), events }) {
            Ok(()) => Ok((id, true)),
            Err(AppendError::Taken { owner, .. }) => Ok((PlanUnitId::from_uuid(owner.id), false)),
            Err(error) => Err(error.into()),
        }
    }

    fn plan_unit_named(&self, code: &str) -> Result<PlanUnit, Error> {
        let missing = || Error::new(Kind::Invalid, format!("Die Aktenplaneinheit „{code}“ gibt es nicht."));
        let id = self.catalogue.plan_unit_by_code(code)?.ok_or_else(missing)?;
        let row = self.catalogue.plan_unit(id)?.ok_or_else(missing)?;
        Ok(PlanUnit { id, data: row.data })
    }

    /// The tenant's facts.
    ///
    /// # Errors
    /// [`Kind::Damaged`] when they are not there or not readable.
    pub fn tenant(&self) -> Result<Tenant, Error> {
        let row = self.catalogue.tenant()?;
        let row = row.ok_or_else(|| Error::new(Kind::Damaged, "Der Mandant hat noch keine Stammdaten."))?;
        Tenant::from_created(&row.data).map_err(|error| Error::from_cause(Kind::Damaged, error))
    }

    /// The tenant's time zone.
    ///
    /// # Errors
    /// As [`tenant`](Self::tenant).
    pub fn zone(&self) -> Result<TimeZone, Error> {
        let name = self.tenant()?.time_zone;
        TimeZone::get(&name).map_err(|source| Error {
            kind: Kind::Damaged,
            public: format!("Die Zeitzone „{name}“ des Mandanten ist nicht bekannt."),
            source: Some(Box::new(source)),
        })
    }

    /// Today where the tenant is.
    ///
    /// # Errors
    /// As [`tenant`](Self::tenant).
    pub fn today(&self) -> Result<Date, Error> {
        let zone = self.zone()?;
        Ok(self.clock.now().to_zoned(zone).date())
    }

    /// Opens a case file, or finds the one with the same import key or reference. Says whether it is new.
    ///
    /// # Errors
    /// When the rules refuse it, or unit or plan unit are unknown.
    pub fn open_case_file(&self, permit: &Permit, new: &NewCaseFile) -> Result<(CaseFileId, bool), Error> {
        permit.require(Permission::Manage)?;
        let wish = new.wish.clone();
        let keys = wish.import_key.iter().map(|key| UniqueKey::import(key));
        let keys =
            keys.chain(wish.reference.iter().map(|reference| UniqueKey::reference(reference.as_str())));
        for key in keys {
            if let Some(owner) = self.catalogue.owner(&key)? {
                return Ok((CaseFileId::from_uuid(owner.id), false));
            }
        }
        if self.catalogue.unit(wish.unit)?.is_none() {
            return Err(Error::new(
                Kind::Invalid,
                format!("Die Organisationseinheit {} gibt es nicht.", wish.unit),
            ));
        }
        let plan_unit = self.plan_unit_named(new.plan_unit.as_str())?;
        wish.check(&plan_unit)?;
        let (tenant, today) = (self.tenant()?, self.today()?);
        let id = CaseFileId::from_uuid(new_id(&*self.clock, &*self.entropy));
        let command = Command {
            context: permit.context(),
            guards: Vec::new(),
            decide: Box::new(move |numbers| wish.decide(id, &plan_unit, &tenant, today, numbers)),
            erases: Vec::new(),
        };
        match self.journal.append(command) {
            Ok(_) => Ok((id, true)),
            Err(AppendError::Taken { owner, .. }) if owner.kind == EntityKind::CaseFile => {
                Ok((CaseFileId::from_uuid(owner.id), false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens many case files, several at once, so that they share commits. Answers in the order asked.
    pub fn open_case_files(
        &self,
        permit: &Permit,
        new: &[NewCaseFile],
    ) -> Vec<Result<(CaseFileId, bool), Error>> {
        let results = Mutex::new(Vec::new());
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.settings.ingest_threads.min(new.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(one) = new.get(at) else { break };
                        let result = self.open_case_file(permit, one);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// z.d.A.: closes a case file with effect from a day, today's if none is named.
    ///
    /// # Errors
    /// When it is closed already or was changed meanwhile.
    pub fn close_case_file(
        &self,
        permit: &Permit,
        id: CaseFileId,
        counts_from: Option<Date>,
        reason: Option<Line>,
    ) -> Result<(), Error> {
        permit.require(Permission::Manage)?;
        let entity = EntityId::from(id);
        let life = self.catalogue.life(entity)?.ok_or_else(|| Error::missing("Die Akte"))?;
        let row = self.catalogue.case_file(id)?.ok_or_else(|| Error::missing("Die Akte"))?;
        let day = counts_from.map_or_else(|| self.today(), Ok)?;
        let event = row.state(id).close(day)?;
        let mut context = permit.context();
        context.effective_on = Some(day);
        context.reason = reason.map(|line| line.to_string());
        let decision = Decision { guards: vec![Guard::Version(entity, life.version)], events: vec![event] };
        self.journal.append(Command::record(context, decision))?;
        Ok(())
    }

    /// The case file that a person means by a text: its id, its reference or an old signature, its import key.
    ///
    /// # Errors
    /// [`Kind::Conflict`] when several have the same old signature.
    pub fn find_case_file(&self, permit: &Permit, text: &str) -> Result<Option<CaseFileId>, Error> {
        permit.require(Permission::Read).or_else(|_| permit.require(Permission::Ingest))?;
        if let Ok(id) = text.parse::<CaseFileId>() {
            return Ok(self.catalogue.case_file(id)?.map(|_| id));
        }
        if let Some(owner) = self.catalogue.owner(&UniqueKey::import(text))? {
            return Ok(Some(CaseFileId::from_uuid(owner.id)));
        }
        let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(owner) = self.catalogue.owner(&UniqueKey::reference(&joined))? {
            return Ok(Some(CaseFileId::from_uuid(owner.id)));
        }
        match self.catalogue.case_files_by_name(&joined)?.as_slice() {
            [] => Ok(None),
            [id] => Ok(Some(*id)),
            several => Err(Error::new(
                Kind::Conflict,
                format!("„{joined}“ ist nicht eindeutig: {} Akten führen dieses Zeichen.", several.len()),
            )),
        }
    }
}
