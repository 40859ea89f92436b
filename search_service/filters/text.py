"""The text syntax of filters.

    category = "shoes" and (price < 50 or on_sale = true)
    not brand in ["a", "b"] and exists(tags) and name startswith "ab"
    taken >= @2024-01-01T00:00:00Z and 10 <= camera.iso < 400

- `=`, `!=`, `<`, `<=`, `>`, `>=`, `in [..]`, `not in [..]`, `startswith`,
  `exists(field)`, joined by `not`, `and`, `or` (in this order of strength) and
  parentheses. Words of the syntax are read in any case. `!=` and `not in` are
  `not` of `=` and `in`: true also where the field is missing. `true` and
  `false` alone are met by every item and by none.
- `1 <= price < 5` asks for one value in the range, where `price >= 1 and
  price < 5` is also met by a list with one value for each half.
- `contains`, `endswith`, and `icontains`, `istartswith`, `iendswith`, `iequals`, for
  which upper and lower case are the same; `matches` finds a pattern of RE2 anywhere in
  a string. These words, and `any`, are fields where a field can stand.
- `any(attributes, key = "Color" and value = "Red")` asks for one element of a list of
  objects that meets the whole condition; paths in it begin in that element.
- Strings stand between double or single quotes, with the escapes of JSON and
  `\\'`; a bare word is a field, never a string. Times are `@` and a date or
  a time (`lookalike.wire.times`), in UTC where no offset is given.
- Keys with dots, spaces or words of the syntax stand between backticks
  (`search_service.filters.paths`).
"""

from __future__ import annotations

import functools
from typing import cast

from lark import Lark
from lark.exceptions import UnexpectedInput

from search_service.domain.conditions import Filter
from search_service.filters.limits import MAX_EXPRESSION_CHARACTERS
from search_service.filters.text_errors import explain, invalid_at
from search_service.filters.text_parts import Part, PartBuilder

_GRAMMAR = r"""
start: disjunction
disjunction: conjunction (OR conjunction)*
conjunction: _negation (AND _negation)*
_negation: negated | _condition
negated: NOT _negation
_condition: group | everything | equals | compare | between | within | outside | exists | prefix
          | text | any_element
group: LPAR disjunction ")"
everything: TRUE | FALSE
equals: field (EQUAL | UNEQUAL) value
compare: field (LESS | GREATER) bound
between: bound LESS field LESS bound
within: field IN values
outside: field NOT IN values
exists: EXISTS LPAR field ")"
prefix: field STARTSWITH STRING
text: field TEXT STRING
any_element: ANY LPAR field "," disjunction ")"
field: KEY ("." KEY)*
values: LBRACKET [value ("," value)*] "]"
value: STRING | NUMBER | TIMESTAMP | TRUE | FALSE
bound: STRING | NUMBER | TIMESTAMP

OR: "or"i
AND: "and"i
NOT: "not"i
IN: "in"i
EXISTS: "exists"i
STARTSWITH: "startswith"i
TEXT: /(?:i?contains|i?endswith|istartswith|iequals|matches)(?![\w-])/i
ANY.2: /any(?=[ \t\r\n]*\()/i
TRUE: "true"i
FALSE: "false"i
EQUAL: "="
UNEQUAL: "!="
LESS: /<=?/
GREATER: />=?/
LPAR: "("
LBRACKET: "["
KEY: /[^\W\d][\w-]*|`(?:[^`\x00-\x1f\x7f-\x9f]|``)+`/i
_DOUBLE: /"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[^\x00-\x1f\x7f-\x9f])*"/
_SINGLE: /'(?:[^'\\\x00-\x1f\x7f-\x9f]|\\[^\x00-\x1f\x7f-\x9f])*'/
STRING: _DOUBLE | _SINGLE
NUMBER: /[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])/
TIMESTAMP: /@[\w:.+-]*(?: \d\d:[\w:.+-]*)?(?: (?:UTC|[+-]\d\d:?\d\d)(?!\w))?/
_SPACE: /[ \t\r\n]+/
%ignore _SPACE
"""


def parse_filter(text: str, field: str = "filter.expression") -> Filter:
    """Read a filter in the text syntax.

    The parser keeps its own stack, so depth costs no recursion.

    Args:
        text: at most 4,096 characters.
        field: what an error names as its field.

    Raises:
        FilterInvalid: with line and column of the mistake and what was expected.
    """
    if len(text) > MAX_EXPRESSION_CHARACTERS:
        message = f"an expression has at most {MAX_EXPRESSION_CHARACTERS:,} characters"
        raise invalid_at(text, MAX_EXPRESSION_CHARACTERS, message, field)
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff":
            raise invalid_at(text, position, "half of a surrogate pair", field)
    try:
        part = cast(Part, _parser().parse(text))
    except UnexpectedInput as error:
        raise explain(text, error, field) from error
    except PartBuilder.Mistake as mistake:
        raise invalid_at(text, mistake.position, mistake.message, field) from mistake
    return part.filter


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", transformer=PartBuilder(), maybe_placeholders=False)
