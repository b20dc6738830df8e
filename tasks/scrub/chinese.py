"""Chinese: names, resident ids, mobile numbers and addresses."""

import regex
from presidio_analyzer import Pattern, PatternRecognizer

SURNAMES = frozenset(
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章苏潘葛奚范彭郎鲁韦昌马苗凤方俞任袁柳"
    "鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于傅齐康伍余元顾孟黄穆萧尹姚邵汪祁毛狄臧戴宋庞熊纪舒屈项祝董梁杜阮蓝闵"
    "席季贾路娄江童颜郭梅盛林钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房缪丁邓崔龚程邢裴陆荣翁荀甄曲封储靳段焦巴谷车侯宁"
    "甘厉祖武符刘景詹龙叶黎白蒲赖卓蔺屠乔温庄晏柴瞿阎连习艾易廖耿匡文寇欧利蔚师聂关荆司肖桂牛涂覃包左石吉沙申洪尚"
)
COMPOUND = (
    "欧阳",
    "司马",
    "诸葛",
    "上官",
    "司徒",
    "东方",
    "慕容",
    "令狐",
    "皇甫",
    "尉迟",
    "公孙",
    "端木",
    "夏侯",
    "长孙",
)

_HAN = r"[\u4e00-\u9fff--[在于住到是为的和与从去往来寄送给及或了]]"  # words before an address are not part of it
_PLACE = rf"{_HAN}{{2,7}}?"
_ADDRESS = (
    r"(?V1)"
    rf"(?:{_PLACE}(?:省|自治区|特别行政区))?(?:{_PLACE}(?:市|自治州|地区|盟))?(?:{_PLACE}(?:区|县|旗|镇|乡|街道))*"
    rf"[{_HAN}0-9]{{1,10}}?(?:路|街|道|巷|胡同|弄|大道|大街|里|村)[\u4e00-\u9fff]{{0,4}}?"
    r"[0-9０-９一二三四五六七八九十百]{1,5}(?:号|弄|巷)(?:院|楼|大厦)?"
    r"(?:[\u4e00-\u9fffA-Za-z0-9]{0,12}?[0-9A-Za-z一二三四五六七八九十]{1,4}(?:号楼|栋|幢|座|单元|层|楼|室|号|房))*"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def chinese_name(word: str) -> bool:
    """Whether a word that jieba tags as a name can be one: a surname and one or two characters, or a foreign name.

    jieba tags many common words as names too; Chinese given names follow a closed list of surnames.
    """
    if len(word) < 2:
        return False
    return (word[0] in SURNAMES and len(word) <= 3) or (word.startswith(COMPOUND) and 3 <= len(word) <= 4)


class ResidentIdRecognizer(PatternRecognizer):
    """Chinese resident identity number: 17 digits and a check character (GB 11643, ISO 7064 MOD 11-2)."""

    def __init__(self) -> None:
        day = r"(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
        pattern = Pattern("resident id", rf"(?<![0-9A-Za-z])[1-9]\d{{5}}{day}\d{{3}}[0-9Xx](?![0-9A-Za-z])", 0.5)
        super().__init__("CN_RESIDENT_ID", name="ResidentIdRecognizer", patterns=[pattern])

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the check character is right."""
        total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, pattern_text[:17], strict=True))
        return "10X98765432"[total % 11] == pattern_text[17].upper()


def recognizers() -> list[PatternRecognizer]:
    """What is looked for in any text, Chinese or not, that holds such a number or Chinese characters."""
    mobile = r"(?<![0-9A-Za-z])(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?![0-9A-Za-z])"
    landline = r"(?<!\d)\(?0\d{2,3}\)?[- ]\d{7,8}(?!\d)"
    return [
        ResidentIdRecognizer(),
        _patterns("PHONE_NUMBER", "ChineseMobileRecognizer", mobile, 0.7),
        _patterns("PHONE_NUMBER", "ChineseLandlineRecognizer", landline, 0.5),
        _patterns("ADDRESS", "ChineseAddressRecognizer", _ADDRESS, 0.7),
    ]


def _patterns(entity: str, name: str, pattern: str, score: float) -> PatternRecognizer:
    return PatternRecognizer(
        entity, name=name, patterns=[Pattern(name, pattern, score)], global_regex_flags=regex.MULTILINE
    )
