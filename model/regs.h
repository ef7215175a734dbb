/* SPDX-License-Identifier: MIT */
/*
 * Registers, fields and entries as the specification names them (VT-d 11.4,
 * 9.1 to 9.10, 6.5.2). The model's own reading of it: nothing is shared with
 * any driver, so that a slip in one is not repeated in the other.
 */
#ifndef MODEL_REGS_H
#define MODEL_REGS_H

#include <stdint.h>

#define BIT(n) (1ull << (n))
#define MASK(hi, lo) ((~0ull >> (63 - (hi))) & (~0ull << (lo)))

static inline uint64_t bits(uint64_t v, unsigned hi, unsigned lo)
{
	return (v & MASK(hi, lo)) >> lo;
}

/* Register offsets. */
#define VER 0x000
#define CAP 0x008
#define ECAP 0x010
#define GCMD 0x018
#define GSTS 0x01c
#define RTADDR 0x020
#define CCMD 0x028
#define FSTS 0x034
#define FECTL 0x038
#define FEDATA 0x03c
#define FEADDR 0x040
#define FEUADDR 0x044
#define PMEN 0x064
#define PLMBASE 0x068
#define PLMLIMIT 0x06c
#define PHMBASE 0x070
#define PHMLIMIT 0x078
#define IQH 0x080
#define IQT 0x088
#define IQA 0x090
#define ICS 0x09c
#define IECTL 0x0a0
#define IEDATA 0x0a4
#define IEADDR 0x0a8
#define IEUADDR 0x0ac
#define IQERCD 0x0b0
#define IRTA 0x0b8

/* CAP */
#define CAP_ND(c) ((unsigned)bits(c, 2, 0))
#define CAP_RWBF BIT(4)
#define CAP_PLMR BIT(5)
#define CAP_PHMR BIT(6)
#define CAP_CM BIT(7)
#define CAP_SAGAW(c) ((unsigned)bits(c, 12, 8))
#define CAP_MGAW(c) ((unsigned)bits(c, 21, 16) + 1)
#define CAP_ZLR BIT(22)
#define CAP_FRO(c) ((unsigned)bits(c, 33, 24) * 16)
#define CAP_SSLPS(c) ((unsigned)bits(c, 37, 34))
#define CAP_PSI BIT(39)
#define CAP_NFR(c) ((unsigned)bits(c, 47, 40) + 1)
#define CAP_MAMV(c) ((unsigned)bits(c, 53, 48))
#define CAP_DWD BIT(54)
#define CAP_DRD BIT(55)
#define CAP_FS1GP BIT(56)
#define CAP_PI BIT(59)
#define CAP_FS5LP BIT(60)
#define CAP_ECMDS BIT(61)
#define CAP_ESIRTPS BIT(62)
#define CAP_ESRTPS BIT(63)

/* ECAP */
#define ECAP_C BIT(0)
#define ECAP_QI BIT(1)
#define ECAP_DT BIT(2)
#define ECAP_IR BIT(3)
#define ECAP_EIM BIT(4)
#define ECAP_PT BIT(6)
#define ECAP_SC BIT(7)
#define ECAP_IRO(e) ((unsigned)bits(e, 17, 8) * 16)
#define ECAP_MHMV(e) ((unsigned)bits(e, 23, 20))
#define ECAP_MTS BIT(25)
#define ECAP_NEST BIT(26)
#define ECAP_PRS BIT(29)
#define ECAP_SRS BIT(31)
#define ECAP_NWFS BIT(33)
#define ECAP_EAFS BIT(34)
#define ECAP_PASID BIT(40)
#define ECAP_DIT BIT(41)
#define ECAP_PDS BIT(42)
#define ECAP_SMTS BIT(43)
#define ECAP_SSADS BIT(45)
#define ECAP_SSTS BIT(46)
#define ECAP_FSTS BIT(47)
#define ECAP_SMPWCS BIT(48)
#define ECAP_RPS BIT(49)
#define ECAP_PMS BIT(51)
#define ECAP_ADMS BIT(52)
#define ECAP_EIMER BIT(61)
#define ECAP_IRREQ BIT(62)

/* GCMD and GSTS */
#define G_TE BIT(31)
#define G_RTP BIT(30)
#define G_WBF BIT(27)
#define G_QIE BIT(26)
#define G_IRE BIT(25)
#define G_IRTP BIT(24)
#define G_CFI BIT(23)
#define G_LEVEL (G_TE | G_QIE | G_IRE | G_CFI)
#define G_ONE_SHOT (G_RTP | G_WBF | G_IRTP)

/* RTADDR */
#define RT_TTM(r) ((unsigned)bits(r, 11, 10))

/* CCMD */
#define CCMD_ICC BIT(63)
/* IOTLB */
#define IOTLB_IVT BIT(63)

/* FSTS */
#define FSTS_ITE BIT(6)
#define FSTS_ICE BIT(5)
#define FSTS_IQE BIT(4)
#define FSTS_PPF BIT(1)
#define FSTS_PFO BIT(0)
/* FECTL, IECTL */
#define CTL_IM BIT(31)
#define CTL_IP BIT(30)
/* ICS */
#define ICS_IWC BIT(0)
/* PMEN */
#define PMEN_EPM BIT(31)
#define PMEN_PRS BIT(0)

/* Invalidation descriptors, type 0..15. */
enum {
	DESC_CC = 1,
	DESC_IOTLB = 2,
	DESC_DEVTLB = 3,
	DESC_IEC = 4,
	DESC_WAIT = 5,
};

/* Granularities of context and IOTLB flushes. */
enum {
	GRAN_NONE = 0,
	GRAN_GLOBAL = 1,
	GRAN_DOMAIN = 2,
	GRAN_NARROW = 3, /* device, or page in domain */
};

/* Root and context entries. */
#define ENTRY_P BIT(0)
#define ENTRY_FPD BIT(1)
#define CE_TT(lo) ((unsigned)bits(lo, 3, 2))
#define CE_AW(hi) ((unsigned)bits(hi, 2, 0))
#define CE_DID(hi) ((uint16_t)bits(hi, 23, 8))
enum {
	TT_SS = 0,
	TT_ATS = 1,
	TT_PASS = 2
};

/* Second-stage entries. */
#define SS_R BIT(0)
#define SS_W BIT(1)
#define SS_PS BIT(7)
#define SS_SNP BIT(11)
#define SS_TM BIT(62)

/* Fault reasons, legacy translation and interrupt remapping (VT-d 7.1). */
enum {
	F_ROOT_NP = 0x01,
	F_CTX_NP = 0x02,
	F_CTX_INVALID = 0x03,
	F_ADDRESS = 0x04,
	F_WRITE = 0x05,
	F_READ = 0x06,
	F_SS_ACCESS = 0x07,
	F_ROOT_ACCESS = 0x08,
	F_CTX_ACCESS = 0x09,
	F_ROOT_RSVD = 0x0a,
	F_CTX_RSVD = 0x0b,
	F_SS_RSVD = 0x0c,
	F_TT_BLOCKS = 0x0d,
	F_OUT_INTERRUPT = 0x0e,
	F_IR_RSVD = 0x20,
	F_IR_INDEX = 0x21,
	F_IR_NP = 0x22,
	F_IR_ACCESS = 0x23,
	F_IRTE_RSVD = 0x24,
	F_IR_COMPAT = 0x25,
	F_IR_SID = 0x26,
	F_IR_MALFORMED = 0x29,
	F_IR_NOT_EIM = 0x2a,
	F_IR_NEEDED = 0x2b,
	F_TTM = 0x30,
	F_ABORT_DMA = 0x33,
};

/* IQERCD.IQEI */
enum {
	IQEI_TAIL = 1,
	IQEI_FETCH = 2,
	IQEI_TYPE = 3,
	IQEI_RSVD = 4,
	IQEI_TTM = 7,
};

/* The interrupt window. */
#define WINDOW 0xfee00000ull
static inline int in_window(uint64_t a)
{
	return (a >> 20) == 0xfee;
}

#endif
