"""The currencies known from the start, each also a constant of this module: `USD`, `JPY`, `BTC`, ...

Precisions are NautilusTrader's: 2 for most fiat money, 0 for a few, 8 for most crypto currencies, 6 for XRP and some.
Anything else is registered with `register_currency`.
"""

from nautilus_common.model.enums import CurrencyType
from nautilus_common.model.values import Currency


def register_currency(currency: Currency, overwrite: bool = False) -> None:
    """Make `currency` known by its code to `Currency.from_str`; a known one stays unless `overwrite`."""
    Currency.register(currency, overwrite)


def _fiat(code: str, precision: int, iso4217: int, name: str) -> Currency:
    currency = Currency(code, precision, iso4217, name, CurrencyType.FIAT)
    Currency.register(currency)
    return currency


def _crypto(code: str, precision: int, name: str) -> Currency:
    currency = Currency(code, precision, 0, name, CurrencyType.CRYPTO)
    Currency.register(currency)
    return currency


def _metal(code: str, iso4217: int, name: str) -> Currency:
    currency = Currency(code, 2, iso4217, name, CurrencyType.COMMODITY_BACKED)
    Currency.register(currency)
    return currency


AED = _fiat("AED", 2, 784, "United Arab Emirates dirham")
ARS = _fiat("ARS", 2, 32, "Argentine peso")
AUD = _fiat("AUD", 2, 36, "Australian dollar")
BRL = _fiat("BRL", 2, 986, "Brazilian real")
CAD = _fiat("CAD", 2, 124, "Canadian dollar")
CHF = _fiat("CHF", 2, 756, "Swiss franc")
CLP = _fiat("CLP", 0, 152, "Chilean peso")
CNH = _fiat("CNH", 2, 0, "Chinese yuan offshore")
CNY = _fiat("CNY", 2, 156, "Chinese yuan")
COP = _fiat("COP", 2, 170, "Colombian peso")
CZK = _fiat("CZK", 2, 203, "Czech koruna")
DKK = _fiat("DKK", 2, 208, "Danish krone")
EUR = _fiat("EUR", 2, 978, "Euro")
GBP = _fiat("GBP", 2, 826, "British pound")
HKD = _fiat("HKD", 2, 344, "Hong Kong dollar")
HUF = _fiat("HUF", 2, 348, "Hungarian forint")
IDR = _fiat("IDR", 2, 360, "Indonesian rupiah")
ILS = _fiat("ILS", 2, 376, "Israeli new shekel")
INR = _fiat("INR", 2, 356, "Indian rupee")
JPY = _fiat("JPY", 0, 392, "Japanese yen")
KRW = _fiat("KRW", 0, 410, "South Korean won")
MXN = _fiat("MXN", 2, 484, "Mexican peso")
MYR = _fiat("MYR", 2, 458, "Malaysian ringgit")
NGN = _fiat("NGN", 2, 566, "Nigerian naira")
NOK = _fiat("NOK", 2, 578, "Norwegian krone")
NZD = _fiat("NZD", 2, 554, "New Zealand dollar")
PHP = _fiat("PHP", 2, 608, "Philippine peso")
PLN = _fiat("PLN", 2, 985, "Polish zloty")
RON = _fiat("RON", 2, 946, "Romanian leu")
RUB = _fiat("RUB", 2, 643, "Russian ruble")
SAR = _fiat("SAR", 2, 682, "Saudi riyal")
SEK = _fiat("SEK", 2, 752, "Swedish krona")
SGD = _fiat("SGD", 2, 702, "Singapore dollar")
THB = _fiat("THB", 2, 764, "Thai baht")
TRY = _fiat("TRY", 2, 949, "Turkish lira")
TWD = _fiat("TWD", 2, 901, "New Taiwan dollar")
UAH = _fiat("UAH", 2, 980, "Ukrainian hryvnia")
USD = _fiat("USD", 2, 840, "United States dollar")
ZAR = _fiat("ZAR", 2, 710, "South African rand")

ONEINCH = _crypto("1INCH", 8, "1inch Network")
AAVE = _crypto("AAVE", 8, "Aave")
ADA = _crypto("ADA", 6, "Cardano")
APT = _crypto("APT", 8, "Aptos")
ARB = _crypto("ARB", 8, "Arbitrum")
ATOM = _crypto("ATOM", 6, "Cosmos")
AVAX = _crypto("AVAX", 8, "Avalanche")
BCH = _crypto("BCH", 8, "Bitcoin Cash")
BNB = _crypto("BNB", 8, "BNB")
BTC = _crypto("BTC", 8, "Bitcoin")
BUSD = _crypto("BUSD", 8, "Binance USD")
DAI = _crypto("DAI", 8, "Dai")
DASH = _crypto("DASH", 8, "Dash")
DOGE = _crypto("DOGE", 8, "Dogecoin")
DOT = _crypto("DOT", 8, "Polkadot")
ETC = _crypto("ETC", 8, "Ethereum Classic")
ETH = _crypto("ETH", 8, "Ether")
FDUSD = _crypto("FDUSD", 8, "First Digital USD")
FIL = _crypto("FIL", 8, "Filecoin")
FTT = _crypto("FTT", 8, "FTX Token")
HYPE = _crypto("HYPE", 8, "Hyperliquid")
LINK = _crypto("LINK", 8, "Chainlink")
LTC = _crypto("LTC", 8, "Litecoin")
LUNA = _crypto("LUNA", 8, "Terra")
MATIC = _crypto("MATIC", 8, "Polygon")
NEAR = _crypto("NEAR", 8, "NEAR Protocol")
OP = _crypto("OP", 8, "Optimism")
PEPE = _crypto("PEPE", 8, "Pepe")
SHIB = _crypto("SHIB", 8, "Shiba Inu")
SOL = _crypto("SOL", 8, "Solana")
SUI = _crypto("SUI", 8, "Sui")
TON = _crypto("TON", 8, "Toncoin")
TRX = _crypto("TRX", 6, "TRON")
TUSD = _crypto("TUSD", 8, "TrueUSD")
UNI = _crypto("UNI", 8, "Uniswap")
USDC = _crypto("USDC", 8, "USD Coin")
USDP = _crypto("USDP", 8, "Pax Dollar")
USDT = _crypto("USDT", 8, "Tether")
WETH = _crypto("WETH", 8, "Wrapped Ether")
WSB = _crypto("WSB", 8, "WallStreetBets DApp")
XBT = _crypto("XBT", 8, "Bitcoin")
XEC = _crypto("XEC", 8, "eCash")
XLM = _crypto("XLM", 8, "Stellar")
XMR = _crypto("XMR", 8, "Monero")
XRP = _crypto("XRP", 6, "XRP")
XTZ = _crypto("XTZ", 6, "Tezos")
ZEC = _crypto("ZEC", 8, "Zcash")

XAG = _metal("XAG", 961, "Silver (one troy ounce)")
XAU = _metal("XAU", 959, "Gold (one troy ounce)")
XPT = _metal("XPT", 962, "Platinum (one troy ounce)")

__all__ = [
    "AAVE",
    "ADA",
    "AED",
    "APT",
    "ARB",
    "ARS",
    "ATOM",
    "AUD",
    "AVAX",
    "BCH",
    "BNB",
    "BRL",
    "BTC",
    "BUSD",
    "CAD",
    "CHF",
    "CLP",
    "CNH",
    "CNY",
    "COP",
    "CZK",
    "DAI",
    "DASH",
    "DKK",
    "DOGE",
    "DOT",
    "ETC",
    "ETH",
    "EUR",
    "FDUSD",
    "FIL",
    "FTT",
    "GBP",
    "HKD",
    "HUF",
    "HYPE",
    "IDR",
    "ILS",
    "INR",
    "JPY",
    "KRW",
    "LINK",
    "LTC",
    "LUNA",
    "MATIC",
    "MXN",
    "MYR",
    "NEAR",
    "NGN",
    "NOK",
    "NZD",
    "ONEINCH",
    "OP",
    "PEPE",
    "PHP",
    "PLN",
    "RON",
    "RUB",
    "SAR",
    "SEK",
    "SGD",
    "SHIB",
    "SOL",
    "SUI",
    "THB",
    "TON",
    "TRX",
    "TRY",
    "TUSD",
    "TWD",
    "UAH",
    "UNI",
    "USD",
    "USDC",
    "USDP",
    "USDT",
    "WETH",
    "WSB",
    "XAG",
    "XAU",
    "XBT",
    "XEC",
    "XLM",
    "XMR",
    "XPT",
    "XRP",
    "XTZ",
    "ZAR",
    "ZEC",
    "register_currency",
]
