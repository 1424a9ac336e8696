"""The nouns of trading: identifiers, values, currencies, enums."""

from nautilus_common.model import currencies as currencies
