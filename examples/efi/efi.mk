# SPDX-License-Identifier: MIT
#
# make efi: the example of examples/efi, twice. edu-gnu.efi is what gcc and
# gnu-efi make of it: position-independent ELF with System V's calling convention,
# turned into what firmware loads. edu-clang.efi comes directly: objects and
# calling convention are Microsoft's. The library is compiled from its plain
# list of sources, as in a project of one's own.

efi-sources := $(shell cat $(S)/iommu/sources.txt) $(patsubst $(S)/%,%,\
	$(wildcard $(S)/examples/efi/*.c))
EFI_INCLUDE ?= /usr/include/efi
EFI_LIB ?= /usr/lib
efi-flags := -std=gnu17 -O2 -ffreestanding -fshort-wchar -mno-red-zone -Wall \
	-Wextra $(library-warnings) -DGNU_EFI_USE_MS_ABI -I$(S)/include \
	-isystem $(EFI_INCLUDE) -isystem $(EFI_INCLUDE)/x86_64
efi-gnu := gcc -fpic -fno-stack-protector -maccumulate-outgoing-args
efi-clang := clang -target x86_64-unknown-windows -mno-stack-arg-probe

define efi-objects-rule
efi-$1-objects := $(patsubst %,$(O)/efi/$1/%.o,$(efi-sources))
$(O)/efi/$1/%.c.o: $(S)/%.c | packages-efi
	@mkdir -p $$(@D)
	$(Q)$(efi-$1) $(efi-flags) $$(efi-own-flags) -MMD -MP -c -o $$@ $$<
-include $$(efi-$1-objects:.o=.d)
endef
$(foreach c,gnu clang,$(eval $(call efi-objects-rule,$c)))
%/examples/efi/memory.c.o: efi-own-flags := -fno-builtin

$(O)/efi/edu-gnu.efi: $(efi-gnu-objects)
	$(Q)ld -nostdlib -znocombreloc -shared -Bsymbolic --no-undefined \
		-T $(EFI_LIB)/elf_x86_64_efi.lds -o $(@:.efi=.so) \
		$(EFI_LIB)/crt0-efi-x86_64.o $^ -L$(EFI_LIB) -lgnuefi
	$(Q)objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym \
		-j '.rel*' --target efi-app-x86_64 --subsystem=10 \
		$(@:.efi=.so) $@

$(O)/efi/edu-clang.efi: $(efi-clang-objects)
	$(Q)lld-link /subsystem:efi_application /entry:efi_main /out:$@ $^

.PHONY: efi packages-efi
packages-efi: ; @$(packages) build efi
efi: packages-efi $(O)/efi/edu-gnu.efi $(O)/efi/edu-clang.efi
