/* ISO 4217 list one as published 2026-01-01 (amendment 180), and the codes of list three that were
 * withdrawn in November 2016 or later, with the month. Sorted by code. A row goes ten years after
 * its month: BYR is the first, in 2027. No include guard: the includer says what CURRENCY is. */

/* clang-format off */
CURRENCY("AED", "")        /* UAE Dirham */
CURRENCY("AFN", "")        /* Afghani */
CURRENCY("ALL", "")        /* Lek */
CURRENCY("AMD", "")        /* Armenian Dram */
CURRENCY("ANG", "2025-03") /* Netherlands Antillean Guilder */
CURRENCY("AOA", "")        /* Kwanza */
CURRENCY("ARS", "")        /* Argentine Peso */
CURRENCY("AUD", "")        /* Australian Dollar */
CURRENCY("AWG", "")        /* Aruban Florin */
CURRENCY("AZN", "")        /* Azerbaijan Manat */
CURRENCY("BAM", "")        /* Convertible Mark */
CURRENCY("BBD", "")        /* Barbados Dollar */
CURRENCY("BDT", "")        /* Taka */
CURRENCY("BGN", "2026-01") /* Bulgarian Lev */
CURRENCY("BHD", "")        /* Bahraini Dinar */
CURRENCY("BIF", "")        /* Burundi Franc */
CURRENCY("BMD", "")        /* Bermudian Dollar */
CURRENCY("BND", "")        /* Brunei Dollar */
CURRENCY("BOB", "")        /* Boliviano */
CURRENCY("BOV", "")        /* Mvdol */
CURRENCY("BRL", "")        /* Brazilian Real */
CURRENCY("BSD", "")        /* Bahamian Dollar */
CURRENCY("BTN", "")        /* Ngultrum */
CURRENCY("BWP", "")        /* Pula */
CURRENCY("BYN", "")        /* Belarusian Ruble */
CURRENCY("BYR", "2017-01") /* Belarusian Ruble */
CURRENCY("BZD", "")        /* Belize Dollar */
CURRENCY("CAD", "")        /* Canadian Dollar */
CURRENCY("CDF", "")        /* Congolese Franc */
CURRENCY("CHE", "")        /* WIR Euro */
CURRENCY("CHF", "")        /* Swiss Franc */
CURRENCY("CHW", "")        /* WIR Franc */
CURRENCY("CLF", "")        /* Unidad de Fomento */
CURRENCY("CLP", "")        /* Chilean Peso */
CURRENCY("CNY", "")        /* Yuan Renminbi */
CURRENCY("COP", "")        /* Colombian Peso */
CURRENCY("COU", "")        /* Unidad de Valor Real */
CURRENCY("CRC", "")        /* Costa Rican Colon */
CURRENCY("CUC", "2021-06") /* Peso Convertible */
CURRENCY("CUP", "")        /* Cuban Peso */
CURRENCY("CVE", "")        /* Cabo Verde Escudo */
CURRENCY("CZK", "")        /* Czech Koruna */
CURRENCY("DJF", "")        /* Djibouti Franc */
CURRENCY("DKK", "")        /* Danish Krone */
CURRENCY("DOP", "")        /* Dominican Peso */
CURRENCY("DZD", "")        /* Algerian Dinar */
CURRENCY("EGP", "")        /* Egyptian Pound */
CURRENCY("ERN", "")        /* Nakfa */
CURRENCY("ETB", "")        /* Ethiopian Birr */
CURRENCY("EUR", "")        /* Euro */
CURRENCY("FJD", "")        /* Fiji Dollar */
CURRENCY("FKP", "")        /* Falkland Islands Pound */
CURRENCY("GBP", "")        /* Pound Sterling */
CURRENCY("GEL", "")        /* Lari */
CURRENCY("GHS", "")        /* Ghana Cedi */
CURRENCY("GIP", "")        /* Gibraltar Pound */
CURRENCY("GMD", "")        /* Dalasi */
CURRENCY("GNF", "")        /* Guinean Franc */
CURRENCY("GTQ", "")        /* Quetzal */
CURRENCY("GYD", "")        /* Guyana Dollar */
CURRENCY("HKD", "")        /* Hong Kong Dollar */
CURRENCY("HNL", "")        /* Lempira */
CURRENCY("HRK", "2023-01") /* Kuna */
CURRENCY("HTG", "")        /* Gourde */
CURRENCY("HUF", "")        /* Forint */
CURRENCY("IDR", "")        /* Rupiah */
CURRENCY("ILS", "")        /* New Israeli Sheqel */
CURRENCY("INR", "")        /* Indian Rupee */
CURRENCY("IQD", "")        /* Iraqi Dinar */
CURRENCY("IRR", "")        /* Iranian Rial */
CURRENCY("ISK", "")        /* Iceland Krona */
CURRENCY("JMD", "")        /* Jamaican Dollar */
CURRENCY("JOD", "")        /* Jordanian Dinar */
CURRENCY("JPY", "")        /* Yen */
CURRENCY("KES", "")        /* Kenyan Shilling */
CURRENCY("KGS", "")        /* Som */
CURRENCY("KHR", "")        /* Riel */
CURRENCY("KMF", "")        /* Comorian Franc */
CURRENCY("KPW", "")        /* North Korean Won */
CURRENCY("KRW", "")        /* Won */
CURRENCY("KWD", "")        /* Kuwaiti Dinar */
CURRENCY("KYD", "")        /* Cayman Islands Dollar */
CURRENCY("KZT", "")        /* Tenge */
CURRENCY("LAK", "")        /* Lao Kip */
CURRENCY("LBP", "")        /* Lebanese Pound */
CURRENCY("LKR", "")        /* Sri Lanka Rupee */
CURRENCY("LRD", "")        /* Liberian Dollar */
CURRENCY("LSL", "")        /* Loti */
CURRENCY("LYD", "")        /* Libyan Dinar */
CURRENCY("MAD", "")        /* Moroccan Dirham */
CURRENCY("MDL", "")        /* Moldovan Leu */
CURRENCY("MGA", "")        /* Malagasy Ariary */
CURRENCY("MKD", "")        /* Denar */
CURRENCY("MMK", "")        /* Kyat */
CURRENCY("MNT", "")        /* Tugrik */
CURRENCY("MOP", "")        /* Pataca */
CURRENCY("MRO", "2017-12") /* Ouguiya */
CURRENCY("MRU", "")        /* Ouguiya */
CURRENCY("MUR", "")        /* Mauritius Rupee */
CURRENCY("MVR", "")        /* Rufiyaa */
CURRENCY("MWK", "")        /* Malawi Kwacha */
CURRENCY("MXN", "")        /* Mexican Peso */
CURRENCY("MXV", "")        /* Mexican Unidad de Inversion (UDI) */
CURRENCY("MYR", "")        /* Malaysian Ringgit */
CURRENCY("MZN", "")        /* Mozambique Metical */
CURRENCY("NAD", "")        /* Namibia Dollar */
CURRENCY("NGN", "")        /* Naira */
CURRENCY("NIO", "")        /* Cordoba Oro */
CURRENCY("NOK", "")        /* Norwegian Krone */
CURRENCY("NPR", "")        /* Nepalese Rupee */
CURRENCY("NZD", "")        /* New Zealand Dollar */
CURRENCY("OMR", "")        /* Rial Omani */
CURRENCY("PAB", "")        /* Balboa */
CURRENCY("PEN", "")        /* Sol */
CURRENCY("PGK", "")        /* Kina */
CURRENCY("PHP", "")        /* Philippine Peso */
CURRENCY("PKR", "")        /* Pakistan Rupee */
CURRENCY("PLN", "")        /* Zloty */
CURRENCY("PYG", "")        /* Guarani */
CURRENCY("QAR", "")        /* Qatari Rial */
CURRENCY("RON", "")        /* Romanian Leu */
CURRENCY("RSD", "")        /* Serbian Dinar */
CURRENCY("RUB", "")        /* Russian Ruble */
CURRENCY("RWF", "")        /* Rwanda Franc */
CURRENCY("SAR", "")        /* Saudi Riyal */
CURRENCY("SBD", "")        /* Solomon Islands Dollar */
CURRENCY("SCR", "")        /* Seychelles Rupee */
CURRENCY("SDG", "")        /* Sudanese Pound */
CURRENCY("SEK", "")        /* Swedish Krona */
CURRENCY("SGD", "")        /* Singapore Dollar */
CURRENCY("SHP", "")        /* Saint Helena Pound */
CURRENCY("SLE", "")        /* Leone */
CURRENCY("SLL", "2023-12") /* Leone */
CURRENCY("SOS", "")        /* Somali Shilling */
CURRENCY("SRD", "")        /* Surinam Dollar */
CURRENCY("SSP", "")        /* South Sudanese Pound */
CURRENCY("STD", "2017-12") /* Dobra */
CURRENCY("STN", "")        /* Dobra */
CURRENCY("SVC", "")        /* El Salvador Colon */
CURRENCY("SYP", "")        /* Syrian Pound */
CURRENCY("SZL", "")        /* Lilangeni */
CURRENCY("THB", "")        /* Baht */
CURRENCY("TJS", "")        /* Somoni */
CURRENCY("TMT", "")        /* Turkmenistan New Manat */
CURRENCY("TND", "")        /* Tunisian Dinar */
CURRENCY("TOP", "")        /* Paanga */
CURRENCY("TRY", "")        /* Turkish Lira */
CURRENCY("TTD", "")        /* Trinidad and Tobago Dollar */
CURRENCY("TWD", "")        /* New Taiwan Dollar */
CURRENCY("TZS", "")        /* Tanzanian Shilling */
CURRENCY("UAH", "")        /* Hryvnia */
CURRENCY("UGX", "")        /* Uganda Shilling */
CURRENCY("USD", "")        /* US Dollar */
CURRENCY("USN", "")        /* US Dollar (Next day) */
CURRENCY("UYI", "")        /* Uruguay Peso en Unidades Indexadas (UI) */
CURRENCY("UYU", "")        /* Peso Uruguayo */
CURRENCY("UYW", "")        /* Unidad Previsional */
CURRENCY("UZS", "")        /* Uzbekistan Sum */
CURRENCY("VED", "")        /* Bolivar Soberano */
CURRENCY("VEF", "2018-08") /* Bolivar */
CURRENCY("VES", "")        /* Bolivar Soberano */
CURRENCY("VND", "")        /* Dong */
CURRENCY("VUV", "")        /* Vatu */
CURRENCY("WST", "")        /* Tala */
CURRENCY("XAD", "")        /* Arab Accounting Dinar */
CURRENCY("XAF", "")        /* CFA Franc BEAC */
CURRENCY("XAG", "")        /* Silver */
CURRENCY("XAU", "")        /* Gold */
CURRENCY("XBA", "")        /* European Composite Unit (EURCO) */
CURRENCY("XBB", "")        /* European Monetary Unit (E.M.U.-6) */
CURRENCY("XBC", "")        /* European Unit of Account 9 (E.U.A.-9) */
CURRENCY("XBD", "")        /* European Unit of Account 17 (E.U.A.-17) */
CURRENCY("XCD", "")        /* East Caribbean Dollar */
CURRENCY("XCG", "")        /* Caribbean Guilder */
CURRENCY("XDR", "")        /* SDR (Special Drawing Right) */
CURRENCY("XOF", "")        /* CFA Franc BCEAO */
CURRENCY("XPD", "")        /* Palladium */
CURRENCY("XPF", "")        /* CFP Franc */
CURRENCY("XPT", "")        /* Platinum */
CURRENCY("XSU", "")        /* Sucre */
CURRENCY("XTS", "")        /* for tests */
CURRENCY("XUA", "")        /* ADB Unit of Account */
CURRENCY("XXX", "")        /* no currency */
CURRENCY("YER", "")        /* Yemeni Rial */
CURRENCY("ZAR", "")        /* Rand */
CURRENCY("ZMW", "")        /* Zambian Kwacha */
CURRENCY("ZWG", "")        /* Zimbabwe Gold */
CURRENCY("ZWL", "2024-09") /* Zimbabwe Dollar */
/* clang-format on */
