/* SPDX-License-Identifier: MIT */
/*
 * VT-d's registers, entries and descriptors by the specification's names.
 * Section numbers refer to revision 5.10.
 */
#ifndef VTD_REGS_H
#define VTD_REGS_H

#include <stdbool.h>
#include <stdint.h>

/** Bits high:low of a value. */
#define VTD_FIELD(value, high, low) \
	(((uint64_t)(value) >> (low)) & (~0ull >> (63 - ((high) - (low)))))
#define VTD_BIT(n) (1ull << (n))

/* Register offsets, 11.4. Width in bits. */
enum {
	VTD_VER = 0x00,     /* 32 */
	VTD_CAP = 0x08,     /* 64 */
	VTD_ECAP = 0x10,    /* 64 */
	VTD_GCMD = 0x18,    /* 32, write only */
	VTD_GSTS = 0x1c,    /* 32 */
	VTD_RTADDR = 0x20,  /* 64 */
	VTD_CCMD = 0x28,    /* 64 */
	VTD_FSTS = 0x34,    /* 32 */
	VTD_FECTL = 0x38,   /* 32 */
	VTD_FEDATA = 0x3c,  /* 32 */
	VTD_FEADDR = 0x40,  /* 32 */
	VTD_FEUADDR = 0x44, /* 32 */
	VTD_PMEN = 0x64,    /* 32 */
	VTD_IQH = 0x80,     /* 64 */
	VTD_IQT = 0x88,     /* 64 */
	VTD_IQA = 0x90,     /* 64 */
	VTD_IECTL = 0xa0,   /* 32 */
	VTD_IQERCD = 0xb0,  /* 64 */
	VTD_IRTA = 0xb8,    /* 64 */
	/** Below here no register has a place that a unit may choose. */
	VTD_FIXED_REGISTERS = 0xe0,
};

/* 11.4.1 VER */
#define VTD_VER_MAJOR(ver) ((unsigned)VTD_FIELD(ver, 7, 4))
#define VTD_VER_MINOR(ver) ((unsigned)VTD_FIELD(ver, 3, 0))

/* 11.4.2 CAP */
#define VTD_CAP_ND(cap) ((unsigned)VTD_FIELD(cap, 2, 0))
#define VTD_CAP_RWBF(cap) (!!((cap)&VTD_BIT(4)))
#define VTD_CAP_PLMR(cap) (!!((cap)&VTD_BIT(5)))
#define VTD_CAP_PHMR(cap) (!!((cap)&VTD_BIT(6)))
#define VTD_CAP_CM(cap) (!!((cap)&VTD_BIT(7)))
#define VTD_CAP_SAGAW(cap) ((unsigned)VTD_FIELD(cap, 12, 8))
#define VTD_CAP_MGAW(cap) ((unsigned)VTD_FIELD(cap, 21, 16) + 1)
#define VTD_CAP_ZLR(cap) (!!((cap)&VTD_BIT(22)))
#define VTD_CAP_FRO(cap) ((unsigned)VTD_FIELD(cap, 33, 24) * 16)
#define VTD_CAP_SSLPS(cap) ((unsigned)VTD_FIELD(cap, 37, 34))
#define VTD_CAP_PSI(cap) (!!((cap)&VTD_BIT(39)))
#define VTD_CAP_NFR(cap) ((unsigned)VTD_FIELD(cap, 47, 40) + 1)
#define VTD_CAP_MAMV(cap) ((unsigned)VTD_FIELD(cap, 53, 48))
#define VTD_CAP_DWD(cap) (!!((cap)&VTD_BIT(54)))
#define VTD_CAP_DRD(cap) (!!((cap)&VTD_BIT(55)))
#define VTD_CAP_PI(cap) (!!((cap)&VTD_BIT(59)))
#define VTD_CAP_ESIRTPS(cap) (!!((cap)&VTD_BIT(62)))
#define VTD_CAP_ESRTPS(cap) (!!((cap)&VTD_BIT(63)))

/* 11.4.3 ECAP */
#define VTD_ECAP_C(ecap) (!!((ecap)&VTD_BIT(0)))
#define VTD_ECAP_QI(ecap) (!!((ecap)&VTD_BIT(1)))
#define VTD_ECAP_DT(ecap) (!!((ecap)&VTD_BIT(2)))
#define VTD_ECAP_IR(ecap) (!!((ecap)&VTD_BIT(3)))
#define VTD_ECAP_EIM(ecap) (!!((ecap)&VTD_BIT(4)))
#define VTD_ECAP_PT(ecap) (!!((ecap)&VTD_BIT(6)))
#define VTD_ECAP_SC(ecap) (!!((ecap)&VTD_BIT(7)))
#define VTD_ECAP_IRO(ecap) ((unsigned)VTD_FIELD(ecap, 17, 8) * 16)
#define VTD_ECAP_MHMV(ecap) ((unsigned)VTD_FIELD(ecap, 23, 20))
#define VTD_ECAP_PRS(ecap) (!!((ecap)&VTD_BIT(29)))
#define VTD_ECAP_PASID(ecap) (!!((ecap)&VTD_BIT(40)))
#define VTD_ECAP_DIT(ecap) (!!((ecap)&VTD_BIT(41)))
#define VTD_ECAP_SMTS(ecap) (!!((ecap)&VTD_BIT(43)))
#define VTD_ECAP_ADMS(ecap) (!!((ecap)&VTD_BIT(52)))
#define VTD_ECAP_EIMER(ecap) (!!((ecap)&VTD_BIT(61)))
#define VTD_ECAP_IRREQ(ecap) (!!((ecap)&VTD_BIT(62)))

/* 11.4.4 GCMD and GSTS: the same bits. */
#define VTD_TE VTD_BIT(31)
#define VTD_SRTP VTD_BIT(30)
#define VTD_WBF VTD_BIT(27)
#define VTD_QIE VTD_BIT(26)
#define VTD_IRE VTD_BIT(25)
#define VTD_SIRTP VTD_BIT(24)
#define VTD_CFI VTD_BIT(23)
/** What is on until a command of ours switches it off. */
#define VTD_SWITCHES (VTD_TE | VTD_QIE | VTD_IRE)
/** What of GSTS may be written back to GCMD: not the one-shot commands. */
#define VTD_GSTS_KEEP 0x96ffffffu

/* 11.4.5 RTADDR */
#define VTD_RTADDR_TTM(value) ((unsigned)VTD_FIELD(value, 11, 10))
#define VTD_RTADDR_MODE(ttm) ((uint64_t)(ttm) << 10)
enum {
	VTD_TTM_LEGACY = 0,
	VTD_TTM_ABORT = 3,
};

/* 11.4.6 CCMD */
#define VTD_CCMD_ICC VTD_BIT(63)
#define VTD_CCMD_CIRG(g) ((uint64_t)(g) << 61)
#define VTD_CCMD_CAIG_AT 59 /* two bits */
#define VTD_CCMD_SID(sid) ((uint64_t)(sid) << 16)
#define VTD_CCMD_DID(did) ((uint64_t)(did))

/* 11.4.8 IOTLB invalidate, at IRO + 8; IVA at IRO. */
#define VTD_IOTLB_IVT VTD_BIT(63)
#define VTD_IOTLB_IIRG(g) ((uint64_t)(g) << 60)
#define VTD_IOTLB_IAIG_AT 57 /* two bits */
#define VTD_IOTLB_DR VTD_BIT(49)
#define VTD_IOTLB_DW VTD_BIT(48)
#define VTD_IOTLB_DID(did) ((uint64_t)(did) << 32)
#define VTD_IVA_IH VTD_BIT(6)

/** Granularities of context-cache and IOTLB invalidations. */
enum {
	VTD_GLOBAL = 1,
	VTD_DOMAIN = 2,
	VTD_DEVICE = 3, /* context cache */
	VTD_PAGE = 3,   /* IOTLB */
};

/* 11.4.9 FSTS and FECTL */
#define VTD_FSTS_FRI(fsts) ((unsigned)VTD_FIELD(fsts, 15, 8))
#define VTD_FSTS_ITE VTD_BIT(6)
#define VTD_FSTS_ICE VTD_BIT(5)
#define VTD_FSTS_IQE VTD_BIT(4)
#define VTD_FSTS_QUEUE (VTD_FSTS_ITE | VTD_FSTS_ICE | VTD_FSTS_IQE)
#define VTD_FSTS_PPF VTD_BIT(1)
#define VTD_FSTS_PFO VTD_BIT(0)
#define VTD_EVENT_IM VTD_BIT(31) /* FECTL, IECTL */

/* 11.4.14 FRCD, the high of two qwords */
#define VTD_FRCD_F VTD_BIT(63)
#define VTD_FRCD_T1 VTD_BIT(62)
#define VTD_FRCD_FR(high) ((uint8_t)VTD_FIELD(high, 39, 32))
#define VTD_FRCD_T2 VTD_BIT(28)
#define VTD_FRCD_SID(high) ((uint16_t)VTD_FIELD(high, 15, 0))

/* 11.4.16 PMEN */
#define VTD_PMEN_EPM VTD_BIT(31)
#define VTD_PMEN_PRS VTD_BIT(0)

/* 11.4.20 IQA, IQH, IQT: byte offsets of 16-byte descriptors */
#define VTD_IQ_INDEX(value) ((unsigned)VTD_FIELD(value, 18, 4))
#define VTD_IQA_DW VTD_BIT(11)
#define VTD_IQA_QS(value) ((unsigned)VTD_FIELD(value, 2, 0))

/* 11.4.26 IQERCD */
#define VTD_IQERCD_ICESID(value) ((uint16_t)VTD_FIELD(value, 63, 48))
#define VTD_IQERCD_ITESID(value) ((uint16_t)VTD_FIELD(value, 47, 32))
#define VTD_IQERCD_IQEI(value) ((unsigned)VTD_FIELD(value, 3, 0))

/* 11.4.31 IRTA */
#define VTD_IRTA_EIME VTD_BIT(11)

/** Root and context entries, interrupt entries and descriptors are all two
 *  qwords. */
struct vtd_entry {
	uint64_t low __attribute__((aligned(16)));
	uint64_t high __attribute__((aligned(8)));
};

/* 9.1 root entry, low */
#define VTD_ROOT_P VTD_BIT(0)
/* 9.3 context entry */
#define VTD_CTX_P VTD_BIT(0)
#define VTD_CTX_FPD VTD_BIT(1)
#define VTD_CTX_TT(tt) ((uint64_t)(tt) << 2)
#define VTD_CTX_TT_OF(low) ((unsigned)VTD_FIELD(low, 3, 2))
#define VTD_CTX_AW_OF(high) ((unsigned)VTD_FIELD(high, 2, 0))
#define VTD_CTX_DID(did) ((uint64_t)(did) << 8)
#define VTD_CTX_DID_OF(high) ((uint16_t)VTD_FIELD(high, 23, 8))
enum {
	VTD_TT_TABLES = 0,
	VTD_TT_TABLES_ATS = 1,
	VTD_TT_PASS = 2,
};
#define VTD_ADDRESS_MASK 0x000ffffffffff000ull

/* 9.8 second-stage entries */
#define VTD_SS_R VTD_BIT(0)
#define VTD_SS_W VTD_BIT(1)
#define VTD_SS_PS VTD_BIT(7)
#define VTD_SS_SNP VTD_BIT(11)

/* 6.5.2 descriptors: type in 3:0 */
enum {
	VTD_DESC_CONTEXT = 1,
	VTD_DESC_IOTLB = 2,
	VTD_DESC_DEVICE_TLB = 3,
	VTD_DESC_IEC = 4,
	VTD_DESC_WAIT = 5,
};
#define VTD_DESC_TYPE(low) ((unsigned)VTD_FIELD(low, 3, 0))
#define VTD_DESC_G(g) ((uint64_t)(g) << 4)
#define VTD_DESC_G_OF(low) ((unsigned)VTD_FIELD(low, 5, 4))
#define VTD_DESC_DID(did) ((uint64_t)(did) << 16)
#define VTD_DESC_SID(sid) ((uint64_t)(sid) << 32)
#define VTD_DESC_IOTLB_DW VTD_BIT(6)
#define VTD_DESC_IOTLB_DR VTD_BIT(7)
#define VTD_DESC_IOTLB_IH VTD_BIT(6)     /* high */
#define VTD_DESC_DEVICE_TLB_S VTD_BIT(0) /* high */
#define VTD_DESC_IEC_INDEX VTD_BIT(4)
#define VTD_DESC_WAIT_SW VTD_BIT(5)
#define VTD_DESC_WAIT_FN VTD_BIT(6)

/* 9.9 interrupt remapping table entry */
#define VTD_IRTE_P VTD_BIT(0)
#define VTD_IRTE_FPD VTD_BIT(1)
#define VTD_IRTE_DM VTD_BIT(2)
#define VTD_IRTE_RH VTD_BIT(3)
#define VTD_IRTE_TM VTD_BIT(4)
#define VTD_IRTE_DLM(mode) ((uint64_t)(mode) << 5)
#define VTD_IRTE_VECTOR(v) ((uint64_t)(v) << 16)
#define VTD_IRTE_SVT_SID (1ull << 18) /* high */

#endif
