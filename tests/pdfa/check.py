"""Says for each PDF whether it is PDF/A-2u, in the words of an independent validator: one JSON object a line."""

import json
import sys

import page


def check(path):
    try:
        report = page.validate_pdf(path, profile=page.ValidationProfile.PDF_A_2U)
    except page.PageError as fault:
        return {"path": path, "compliant": False, "pages": 0, "failures": [f"unreadable: {fault}"]}
    failures = [f"{failure.rule_id}: {failure.message}" for failure in report.failures]
    return {
        "path": path,
        "compliant": report.is_compliant,
        "pages": report.document.page_count,
        "failures": failures,
    }


def main(paths):
    answers = [check(path) for path in paths]
    for answer in answers:
        print(json.dumps(answer))
    return 0 if answers and all(answer["compliant"] for answer in answers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
